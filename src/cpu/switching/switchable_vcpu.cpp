#include "cpu/switching/switchable_vcpu.hpp"

#include <utility>

namespace touka::cpu::switching {

SwitchableVcpu::SwitchableVcpu(std::unique_ptr<Vcpu> first, std::unique_ptr<Vcpu> second)
    : vcpus_{std::move(first), std::move(second)} {}

std::expected<void, CpuError> SwitchableVcpu::switch_over() {
    const std::scoped_lock lock(switching_);
    Vcpu& from = active();
    const std::size_t other = 1 - active_.load(std::memory_order_relaxed);
    Vcpu& to = *vcpus_[other];
    const auto state = from.state();
    if (!state) return std::unexpected(state.error());
    if (auto taken = to.set_state(*state); !taken) return taken;
    // The state's counter stood still since it was read, for each processor by another time.
    to.set_tsc_offset(from.tsc_offset());
    active_.store(other, std::memory_order_seq_cst);
    return {};
}

VcpuExit SwitchableVcpu::run() {
    const VcpuExit exit = active().run();
    has_ended_ = exit != VcpuExit::kKicked;
    return exit;
}

std::expected<void, CpuError> SwitchableVcpu::set_state(const CpuState& state) {
    has_ended_ = false;
    return active().set_state(state);
}

void SwitchableVcpu::kick() {
    const std::scoped_lock lock(switching_);
    active().kick();
}

// Frequent, so without a lock. The APIC has noted the interrupt before it calls: if this still finds the vCPU that is
// left, the other has yet to start, and looks at the APIC then.
void SwitchableVcpu::interrupt_pending() { active().interrupt_target()->interrupt_pending(); }

void SwitchableVcpu::signal_nmi() {
    const std::scoped_lock lock(switching_);
    active().interrupt_target()->signal_nmi();
}

void SwitchableVcpu::signal_init() {
    const std::scoped_lock lock(switching_);
    active().interrupt_target()->signal_init();
}

void SwitchableVcpu::signal_startup(std::uint8_t vector) {
    const std::scoped_lock lock(switching_);
    active().interrupt_target()->signal_startup(vector);
}

} // namespace touka::cpu::switching
