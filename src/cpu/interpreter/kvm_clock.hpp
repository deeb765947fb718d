// KVM's paravirtual clock, which tells a guest the frequency of its TSC: calibrating it against the 8254 goes wrong
// where the host's processor is shared, and the guest's clock would run at the wrong speed for ever.
// Absent: all else of KVM's paravirtual interface; rewriting after the TSC's frequency has changed by a move to
// another host.
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"
#include "spec/kvm/clock.hpp"

namespace touka::cpu::interpreter {

/// Does CPUID show the clock?
[[nodiscard]] bool has_kvm_clock(const Processor& p);

/// The factors that turn a TSC of this frequency into nanoseconds, counting from TSC = 0, so that all processors agree.
[[nodiscard]] spec::kvm::SystemTime make_system_time(std::uint64_t tsc_frequency_hz);

/// The guest wrote the address register: fills the structure there. Addresses outside of RAM are ignored.
void write_system_time(Processor& p, std::uint64_t value);
void write_wall_clock(Processor& p, std::uint64_t value);

} // namespace touka::cpu::interpreter
