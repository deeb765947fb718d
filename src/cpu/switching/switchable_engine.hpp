// Two software engines as one, between which a running machine moves.
// Absent: doorbells (software engines have none), engines with interrupt chips of their own (KVM).
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/switching/switchable_vcpu.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::switching {

/// Both engines and their vCPUs stay, so that a machine comes back to code that is translated already; that code was
/// written while its engine waited is seen by memory::CodePages' generations.
/// @thread the machine's control thread. Its vCPUs must not outlive it.
class SwitchableEngine final : public CpuEngine {
public:
    /// @pre neither has interrupt chips; both deliver the same features and TSC frequency; memory's stores are guarded,
    /// since either may make code of pages that the other lets code store to. `first` runs.
    SwitchableEngine(std::unique_ptr<CpuEngine> first, std::unique_ptr<CpuEngine> second);

    /// All vCPUs go on on the other engine. Nothing happens when one of them has ended.
    /// @return an error: the machine cannot go on, failure() says why. @pre all vCPUs stopped.
    [[nodiscard]] std::expected<void, CpuError> switch_over();

    /// Of the engine that runs.
    [[nodiscard]] std::string_view name() const override { return engines_[active_]->name(); }
    [[nodiscard]] CpuFeatures features() const override { return engines_[0]->features(); }
    [[nodiscard]] CpuFeatures emulated_features() const override { return engines_[0]->emulated_features(); }
    [[nodiscard]] bool has_interrupt_chips() const override { return false; }
    [[nodiscard]] std::expected<std::unique_ptr<Vcpu>, CpuError> make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) override;
    [[nodiscard]] std::uint64_t tsc_frequency_hz() const override { return engines_[0]->tsc_frequency_hz(); }
    void collect_dirty() override;
    void dirty_log_changed() override;
    [[nodiscard]] std::string failure() const override { return failure_; }

private:
    std::array<std::unique_ptr<CpuEngine>, 2> engines_;
    std::size_t active_ = 0;
    std::vector<SwitchableVcpu*> vcpus_; // owned by the machine, which destroys them before the engine
    std::string failure_;
};

} // namespace touka::cpu::switching
