// One vCPU of the interpreter engine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cpu/interpreter/halt_polling.hpp"
#include "cpu/interpreter/processor.hpp"
#include "cpu/interpreter/run_loop.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::interpreter {

/// A Processor, and whatever is to be done with the memory that it lies in. Large: TLB and register file.
using OwnedProcessor = std::unique_ptr<Processor, std::function<void(Processor*)>>;

/// Of this engine, or the base of another's that runs the same Processor faster.
/// @thread run, state, set_state: the vCPU's own. kick and the InterruptTarget calls: any.
class InterpreterVcpu : public Vcpu, public InterruptTarget {
public:
    explicit InterpreterVcpu(OwnedProcessor processor);
    InterpreterVcpu(memory::GuestMemory& memory, CpuBus& bus, InterruptPort& interrupts, CpuidTable cpuid);

    [[nodiscard]] VcpuExit run() override;
    void kick() override { post(request::kKick); }
    [[nodiscard]] std::expected<CpuState, CpuError> state() override;
    [[nodiscard]] std::expected<void, CpuError> set_state(const CpuState& state) override;
    [[nodiscard]] std::string failure() const override;
    [[nodiscard]] std::string report() const override;
    [[nodiscard]] InterruptTarget* interrupt_target() override { return this; }
    [[nodiscard]] std::uint64_t guest_tsc() const override;
    [[nodiscard]] std::uint64_t tsc_offset() const override { return processor_->msr.tsc_offset; }
    void set_tsc_offset(std::uint64_t offset) override { processor_->msr.tsc_offset = offset; }

    void interrupt_pending() override { post(request::kInterrupt); }
    void signal_nmi() override { post(request::kNmi); }
    void signal_init() override { post(request::kInit); }
    void signal_startup(std::uint8_t vector) override;

    /// All translations are stale: the dirty log was switched. Any thread.
    void forget_translations() { post(request::kFlushTlb); }
    /// Code was written that somebody may have translated. Any thread.
    void code_written() { post(request::kCodeWritten); }
    [[nodiscard]] Processor& processor() { return *processor_; }
    [[nodiscard]] const Processor& processor() const { return *processor_; }

private:
    /// Runs instructions, with the contract of interpreter::execute.
    [[nodiscard]] virtual StopReason execute_processor() { return execute(*processor_); }
    void post(std::uint32_t bits);
    /// Takes those of these request:: bits that are set. @return whether somebody kicked.
    bool take_requests(std::uint32_t which);
    /// Waits while halted or waiting for a start-up IPI. @return false when kicked.
    bool wait_until_runnable();
    /// An interrupt or NMI ends HLT.
    [[nodiscard]] bool has_wake_event();

    /// Waits for a request beside `left`, which were there.
    void wait_for_request(std::uint32_t left);

    OwnedProcessor processor_;
    HaltPolling halt_polling_;
};

} // namespace touka::cpu::interpreter
