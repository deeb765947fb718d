// The kernel's forms of a processor's registers and ours, one into the other. Pure functions.
#pragma once

#include <linux/kvm.h>

#include <span>

#include "cpu/cpu_state.hpp"
#include "cpu/cpuid.hpp"

namespace touka::cpu::kvm {

/// General registers, RIP, RFLAGS.
void read_registers(const kvm_regs& from, CpuState& to);
[[nodiscard]] kvm_regs general_registers(const CpuState& from);

/// Segments, tables, control registers; EFER goes to CpuState::msrs.
void read_system_registers(const kvm_sregs& from, CpuState& to);
/// @param to the kernel's present values: IA32_APIC_BASE in it stays, it belongs to LocalApicState.
void write_system_registers(const CpuState& from, kvm_sregs& to);

void read_events(const kvm_vcpu_events& from, CpuState& to);
[[nodiscard]] kvm_vcpu_events events(const CpuState& from);

[[nodiscard]] RunState run_state(const kvm_mp_state& from);
[[nodiscard]] kvm_mp_state mp_state(RunState from);

/// The XSAVE image of standard format in the kernel's buffer, cut behind the last component that is enabled in XCR0
/// or in use. @param cpuid for the components' places.
[[nodiscard]] std::vector<std::uint8_t> cut_xsave(std::span<const std::uint8_t> buffer, std::uint64_t xcr0,
                                                  const CpuidTable& cpuid);
/// Fills the kernel's buffer. An empty image stands for the state after INIT.
/// @return false: too short for the legacy area and header, or longer than the buffer.
[[nodiscard]] bool fill_xsave(std::span<const std::uint8_t> image, std::span<std::uint8_t> buffer);

} // namespace touka::cpu::kvm
