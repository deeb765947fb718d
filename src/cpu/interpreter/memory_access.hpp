// Loads and stores of a processor by linear address: TLB first, page walk, bus, and the checks between.
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// Whose rights an access has: the running privilege, or the processor itself (descriptor tables, TSS, IDT).
enum class Privilege : std::uint8_t { kCurrent, kSupervisor };

/// @tparam T an unsigned integer of 1 to 8 bytes. Crosses pages and reaches devices as needed.
/// @return false with Processor::fault set (#PF, or #GP/#SS for a non-canonical address).
template <class T>
[[nodiscard]] bool read_linear(Processor& p, std::uint64_t linear, T& value, Privilege = Privilege::kCurrent);
template <class T>
[[nodiscard]] bool write_linear(Processor& p, std::uint64_t linear, T value, Privilege = Privilege::kCurrent);

/// Drops all translations (CR3, CR4, EFER, CR0 writes), or those of one page (INVLPG).
void flush_tlb(Processor& p);
void flush_tlb_page(Processor& p, std::uint64_t linear);

} // namespace touka::cpu::interpreter
