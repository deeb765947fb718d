// The kernel's chip states and ours, one into the other. Pure functions.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "cpu/cpu_state.hpp"
#include "cpu/interrupt_chip_state.hpp"

namespace touka::cpu::kvm {

[[nodiscard]] IoApicState from_kvm(const kvm_ioapic_state& chip);
[[nodiscard]] kvm_ioapic_state to_kvm(const IoApicState& state);

/// The kernel does not keep ICW3: cascading is as every PC has it.
[[nodiscard]] PicState from_kvm(const kvm_pic_state& chip, bool master);
[[nodiscard]] kvm_pic_state to_kvm(const PicState& state, bool master);

/// @param now_ns CLOCK_MONOTONIC, which the kernel's load times are in.
[[nodiscard]] PitState from_kvm(const kvm_pit_state2& chip, std::uint64_t now_ns);
[[nodiscard]] kvm_pit_state2 to_kvm(const PitState& state, std::uint64_t now_ns);

/// Registers and running timer; apic_base and tsc_deadline are elsewhere in the kernel.
/// The kernel's timer counts at 1 GHz before the divider.
[[nodiscard]] LocalApicState from_kvm(const kvm_lapic_state& chip);
[[nodiscard]] kvm_lapic_state to_kvm(const LocalApicState& state);

[[nodiscard]] std::uint64_t monotonic_ns();

} // namespace touka::cpu::kvm
