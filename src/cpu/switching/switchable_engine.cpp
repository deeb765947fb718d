#include "cpu/switching/switchable_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace touka::cpu::switching {

SwitchableEngine::SwitchableEngine(std::unique_ptr<CpuEngine> first, std::unique_ptr<CpuEngine> second)
    : engines_{std::move(first), std::move(second)} {
    assert(!engines_[0]->has_interrupt_chips() && !engines_[1]->has_interrupt_chips());
    assert(engines_[0]->tsc_frequency_hz() == engines_[1]->tsc_frequency_hz());
}

std::expected<void, CpuError> SwitchableEngine::switch_over() {
    if (std::ranges::any_of(vcpus_, &SwitchableVcpu::has_ended)) return {};
    const std::string_view from = engines_[active_]->name(), to = engines_[1 - active_]->name();
    for (std::size_t index = 0; index < vcpus_.size(); ++index) {
        if (auto switched = vcpus_[index]->switch_over(); !switched) {
            failure_ = fmt::format("processor {} cannot go on: the {} does not take the state that the {} gives\n",
                                   index, to, from);
            return switched;
        }
    }
    active_ = 1 - active_;
    return {};
}

std::expected<std::unique_ptr<Vcpu>, CpuError> SwitchableEngine::make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) {
    std::array<std::unique_ptr<Vcpu>, 2> made;
    for (std::size_t n = 0; n < engines_.size(); ++n) {
        auto vcpu = engines_[n]->make_vcpu(index, cpuid, ports);
        if (!vcpu) {
            failure_ = engines_[n]->failure();
            return vcpu;
        }
        made[n] = std::move(*vcpu);
    }
    auto both = std::make_unique<SwitchableVcpu>(std::move(made[0]), std::move(made[1]));
    vcpus_.push_back(both.get());
    return both;
}

void SwitchableEngine::collect_dirty() {
    for (const auto& engine : engines_) engine->collect_dirty();
}

void SwitchableEngine::dirty_log_changed() {
    for (const auto& engine : engines_) engine->dirty_log_changed();
}

} // namespace touka::cpu::switching
