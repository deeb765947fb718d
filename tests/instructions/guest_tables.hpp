// The guest around an instruction: page tables, descriptors, and a ring-0 stub for each exception that reports itself.
#pragma once

#include <cstdint>

#include "cpu/cpu_state.hpp"
#include "instructions/machine_state.hpp"
#include "memory/guest_memory.hpp"

namespace touka::tests::instructions {

/// Guest RAM that the tables fit into.
inline constexpr std::uint64_t kGuestRamBytes = std::uint64_t{4} << 20;
/// Where the linear page n of kPages lies in guest RAM.
inline constexpr std::uint64_t kTestPagesPhysical = 0x10'0000;
/// All of the first 2 MiB of RAM, for ring 0 only.
inline constexpr std::uint64_t kSystemLinear = 0xFFFF'8000'0000'0000;
inline constexpr std::uint16_t kUserCode32Selector = 0x23, kUserDataSelector = 0x2B, kUserCode64Selector = 0x33;

/// A data segment for CPL 3 that is not present.
inline constexpr std::uint16_t kAbsentSelector = 0x3B;
/// The IDT, in guest RAM, 16 bytes a gate.
inline constexpr std::uint64_t kIdtPhysical = 0x9000;
inline constexpr std::uint16_t kTaskStateSelector = 0x40;

/// Writes the tables. The stub of vector n does OUT n, AL and halts.
void write_guest_tables(memory::GuestMemory& memory);
/// A processor about to run at CPL 3 with these tables; registers and FPU as the case says.
[[nodiscard]] cpu::CpuState initial_state(const Case& test);

} // namespace touka::tests::instructions
