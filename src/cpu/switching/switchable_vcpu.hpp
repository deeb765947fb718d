// One processor of the guest on two engines: the one runs it, the other waits for its turn.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "cpu/vcpu.hpp"

namespace touka::cpu::switching {

/// @thread as Vcpu: run by its own, switch_over() while it is stopped; kick() and InterruptTarget: any.
class SwitchableVcpu final : public Vcpu, public InterruptTarget {
public:
    /// Of two software engines, with the same CPUID and ports. `first` runs.
    SwitchableVcpu(std::unique_ptr<Vcpu> first, std::unique_ptr<Vcpu> second);

    /// The processor goes on on the other vCPU, with everything that was asked of it meanwhile.
    /// @return the error of state() or set_state(): then it cannot go on.
    /// @pre run() ended by a kick, or was never called.
    [[nodiscard]] std::expected<void, CpuError> switch_over();
    /// Whether run() ended for ever: there is nothing to go on with.
    [[nodiscard]] bool has_ended() const { return has_ended_; }

    [[nodiscard]] VcpuExit run() override;
    void kick() override;
    [[nodiscard]] std::expected<CpuState, CpuError> state() override { return active().state(); }
    [[nodiscard]] std::expected<void, CpuError> set_state(const CpuState& state) override;
    [[nodiscard]] std::string failure() const override { return active().failure(); }
    [[nodiscard]] std::string report() const override { return vcpus_[0]->report() + vcpus_[1]->report(); }
    [[nodiscard]] InterruptTarget* interrupt_target() override { return this; }
    [[nodiscard]] std::uint64_t guest_tsc() const override { return active().guest_tsc(); }
    [[nodiscard]] std::uint64_t tsc_offset() const override { return active().tsc_offset(); }
    void set_tsc_offset(std::uint64_t offset) override { active().set_tsc_offset(offset); }

    void interrupt_pending() override;
    void signal_nmi() override;
    void signal_init() override;
    void signal_startup(std::uint8_t vector) override;

private:
    [[nodiscard]] Vcpu& active() const { return *vcpus_[active_.load(std::memory_order_seq_cst)]; }

    std::array<std::unique_ptr<Vcpu>, 2> vcpus_;
    std::atomic<std::size_t> active_{0}; ///< pairs with the local APIC's request bits: see interrupt_pending()
    bool has_ended_ = false;
    /// Held by a switch and by whoever signals what the vCPU itself keeps, so that no signal goes to the one that was
    /// already asked for its state. No other lock is taken inside.
    std::mutex switching_;
};

} // namespace touka::cpu::switching
