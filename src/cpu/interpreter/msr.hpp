// Model-specific registers. (Intel SDM vol. 4 rev. 084 §2.1; AMD64 APM vol. 2 rev. 3.42 appendix A)
// KVM's clock registers: kvm_clock.hpp.
// Absent: performance counters, machine-check banks (MCG_CAP says 0), last-branch records, thermal and power control.
// MTRRs and PAT are stored and have no effect: all RAM is write-back memory of the host.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// RDMSR without the privilege check. @return false with #GP(0); unknown ones are counted in Processor::unknown_msrs.
[[nodiscard]] bool read_msr(Processor& p, std::uint32_t index, std::uint64_t& value);
/// WRMSR without the privilege check. @return false with #GP(0) for unknown registers and reserved bits.
[[nodiscard]] bool write_msr(Processor& p, std::uint32_t index, std::uint64_t value);

/// What RDTSC answers: the host's counter plus the guest's offset.
[[nodiscard]] std::uint64_t guest_tsc(const Processor& p);

/// The registers that CpuState::msrs carries, ascending by index. The local APIC's own travel with its state.
[[nodiscard]] std::vector<MsrValue> save_msrs(Processor& p);
/// Takes over saved registers; indices that the interpreter does not have are ignored, since another engine may save
/// more. @return false when a value has reserved bits set; then nothing is defined about the rest.
[[nodiscard]] bool load_msrs(Processor& p, const std::vector<MsrValue>& msrs);

} // namespace touka::cpu::interpreter
