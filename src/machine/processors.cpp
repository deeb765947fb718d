#include "machine/processors.hpp"

#include <fmt/format.h>

namespace touka::machine {

namespace {

cpu::CpuidTable cpuid_of(const cpu::CpuEngine& engine, std::uint32_t index, std::uint32_t count) {
    return cpu::make_cpuid({.features = engine.features(),
                            .emulated = engine.emulated_features(),
                            .vcpu_count = count,
                            .vcpu_index = index,
                            .tsc_frequency_hz = engine.tsc_frequency_hz(),
                            .kvm_paravirtual = true});
}

MachineEvent to_event(cpu::VcpuExit exit) {
    switch (exit) {
        case cpu::VcpuExit::kShutdown: return MachineEvent::kProcessorShutdown;
        case cpu::VcpuExit::kDiffered: return MachineEvent::kProcessorDiffered;
        default: return MachineEvent::kProcessorFailed;
    }
}

} // namespace

std::expected<std::unique_ptr<Processors>, MachineError> Processors::create(cpu::CpuEngine& engine, std::uint32_t count,
                                                                            cpu::CpuBus& bus,
                                                                            InterruptSystem& interrupts,
                                                                            MachineEvents& events) {
    std::unique_ptr<Processors> all(new Processors(engine));
    std::vector<cpu::Vcpu*> vcpus;
    std::vector<std::unique_ptr<cpu::Vcpu>> made;
    for (std::uint32_t index = 0; index < count; ++index) {
        auto vcpu = engine.make_vcpu(index, cpuid_of(engine, index, count),
                                     {.bus = &bus, .interrupts = interrupts.port(index)});
        if (!vcpu) return all->failed("could not be made", index);
        vcpus.push_back(vcpu->get());
        made.push_back(std::move(*vcpu));
    }
    interrupts.connect(vcpus);
    for (std::uint32_t index = 0; index < count; ++index) {
        auto state = made[index]->state();
        if (!state) return all->failed("has no readable state", index);
        all->power_on_.push_back(std::move(*state));
        all->threads_.push_back(std::make_unique<VcpuThread>(
            index, std::move(made[index]), [&events](cpu::VcpuExit exit) { events.put(to_event(exit)); }));
    }
    return all;
}

void Processors::pause() {
    for (const auto& thread : threads_) thread->pause();
}

void Processors::step_out() {
    for (const auto& thread : threads_) thread->step_out();
}

void Processors::resume() {
    for (const auto& thread : threads_) thread->resume();
}

std::expected<void, MachineError> Processors::reset(const cpu::CpuState& entry) {
    auto states = power_on_;
    states.front() = entry;
    return set_states(states);
}

std::expected<std::vector<cpu::CpuState>, MachineError> Processors::states() {
    std::vector<cpu::CpuState> all;
    for (std::size_t index = 0; index < threads_.size(); ++index) {
        auto state = threads_[index]->vcpu().state();
        if (!state) return failed("has no readable state", index);
        all.push_back(std::move(*state));
    }
    return all;
}

std::expected<void, MachineError> Processors::set_states(const std::vector<cpu::CpuState>& states) {
    if (states.size() != threads_.size()) {
        return std::unexpected(MachineError{
            MachineErrorKind::kConfiguration,
            fmt::format("the saved machine has {} processors, this one {}", states.size(), threads_.size())});
    }
    for (std::size_t index = 0; index < threads_.size(); ++index) {
        if (!threads_[index]->vcpu().set_state(states[index])) return failed("refuses its state", index);
    }
    return {};
}

std::string Processors::failure() const { return told_by_each(&cpu::Vcpu::failure); }
std::string Processors::report() const { return told_by_each(&cpu::Vcpu::report); }

std::string Processors::told_by_each(std::string (cpu::Vcpu::*tell)() const) const {
    std::string text;
    for (std::size_t index = 0; index < threads_.size(); ++index) {
        const std::string own = (threads_[index]->vcpu().*tell)();
        if (!own.empty()) text += fmt::format("processor {}: {}\n", index, own);
    }
    return text;
}

std::unexpected<MachineError> Processors::failed(std::string_view what, std::size_t index) const {
    std::string reason = index < threads_.size() ? threads_[index]->vcpu().failure() : engine_.failure();
    if (reason.empty()) reason = "no reason given";
    return std::unexpected(MachineError{MachineErrorKind::kFailed, fmt::format("processor {} of engine {} {}: {}",
                                                                               index, engine_.name(), what, reason)});
}

} // namespace touka::machine
