#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cpu/cpu_state.hpp"

namespace touka::cpu::kvm {

/// Which model-specific registers are part of a processor's state: those of a fixed list that this vCPU has.
/// Not among them: EFER (with the control registers), FS and GS base (with the segments), IA32_APIC_BASE and
/// IA32_TSC_DEADLINE (LocalApicState), and those that only tell what the processor can do.
/// @thread its vCPU's.
class KvmMsrList {
public:
    /// Asks the kernel about each. @param paravirtual with kvmclock's and the like.
    KvmMsrList(int vcpu_fd, bool paravirtual);

    /// Appends all values. @return false when the kernel refuses.
    [[nodiscard]] bool read(std::vector<MsrValue>& values) const;
    /// Sets those whose value is another one; registers that this vCPU has not may only be 0 in the state.
    /// @return the register that stands in the way, if any; then some are set.
    [[nodiscard]] std::optional<std::uint32_t> write(const std::vector<MsrValue>& values) const;

    [[nodiscard]] const std::vector<std::uint32_t>& indices() const { return indices_; }

private:
    int vcpu_fd_;
    std::vector<std::uint32_t> indices_;
};

} // namespace touka::cpu::kvm
