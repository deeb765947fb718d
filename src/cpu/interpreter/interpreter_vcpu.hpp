// One vCPU of the interpreter engine.
#pragma once

#include <memory>
#include <string>

#include "cpu/interpreter/processor.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::interpreter {

/// @thread run, state, set_state: the vCPU's own. kick and the InterruptTarget calls: any.
class InterpreterVcpu final : public Vcpu, public InterruptTarget {
public:
    InterpreterVcpu(memory::GuestMemory& memory, CpuBus& bus, InterruptPort& interrupts, CpuidTable cpuid);

    [[nodiscard]] VcpuExit run() override;
    void kick() override { post(request::kKick); }
    [[nodiscard]] std::expected<CpuState, CpuError> state() override;
    [[nodiscard]] std::expected<void, CpuError> set_state(const CpuState& state) override;
    [[nodiscard]] std::string failure() const override;
    [[nodiscard]] std::string report() const override;
    [[nodiscard]] InterruptTarget* interrupt_target() override { return this; }
    [[nodiscard]] std::uint64_t guest_tsc() const override;

    void interrupt_pending() override { post(request::kInterrupt); }
    void signal_nmi() override { post(request::kNmi); }
    void signal_init() override { post(request::kInit); }
    void signal_startup(std::uint8_t vector) override;

    /// All translations are stale: the dirty log was switched. Any thread.
    void forget_translations() { post(request::kFlushTlb); }
    [[nodiscard]] Processor& processor() { return *processor_; }

private:
    void post(std::uint32_t bits);
    /// Takes kick, INIT and start-up requests. @return whether somebody kicked.
    bool take_requests();
    /// Waits while halted or waiting for a start-up IPI. @return false when kicked.
    bool wait_until_runnable();
    /// An interrupt or NMI ends HLT.
    [[nodiscard]] bool has_wake_event();

    std::unique_ptr<Processor> processor_; // large: TLB and register file
};

} // namespace touka::cpu::interpreter
