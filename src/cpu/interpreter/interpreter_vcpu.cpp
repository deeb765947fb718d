#include "cpu/interpreter/interpreter_vcpu.hpp"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/msr.hpp"
#include "cpu/interpreter/reset.hpp"
#include "cpu/interpreter/run_loop.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

/// Between two looks at the clock.
constexpr int kLooksATime = 128;

/// What others did to the processor; a part of its state, once it is taken.
constexpr std::uint32_t kSignals = request::kNmi | request::kInit | request::kStartup;
/// What a loop does not take.
constexpr std::uint32_t kForVcpu = request::kKick | request::kInit | request::kStartup;

} // namespace

InterpreterVcpu::InterpreterVcpu(OwnedProcessor processor) : processor_(std::move(processor)) {
    reset_state(*processor_);
}

InterpreterVcpu::InterpreterVcpu(memory::GuestMemory& memory, CpuBus& bus, InterruptPort& interrupts, CpuidTable cpuid)
    : InterpreterVcpu(
          OwnedProcessor(new Processor(memory, bus, interrupts, std::move(cpuid)), std::default_delete<Processor>())) {}

void InterpreterVcpu::post(std::uint32_t bits) {
    // Pairs with the acquire loads of the run loop and of wait_until_runnable.
    processor_->requests.fetch_or(bits, std::memory_order_release);
    processor_->requests.notify_one();
}

void InterpreterVcpu::signal_startup(std::uint8_t vector) {
    processor_->startup_vector.store(vector, std::memory_order_relaxed);
    post(request::kStartup);
}

bool InterpreterVcpu::take_requests(std::uint32_t which) {
    Processor& p = *processor_;
    if ((p.requests.load(std::memory_order_relaxed) & which) == 0) return false;
    const std::uint32_t taken = p.requests.fetch_and(~which, std::memory_order_acquire);
    if ((taken & request::kInit) != 0) apply_init(p);
    // A start-up IPI counts only while one is waited for, so the usual second one is dropped. (SDM vol. 3 §8.4.3)
    if ((taken & request::kStartup) != 0 && p.run_state == RunState::kWaitForSipi)
        apply_startup(p, p.startup_vector.load(std::memory_order_relaxed));
    if ((taken & request::kNmi) != 0) p.nmi_pending = true;
    return (taken & request::kKick) != 0;
}

bool InterpreterVcpu::has_wake_event() {
    Processor& p = *processor_;
    const std::uint32_t taken = p.requests.fetch_and(~(request::kInterrupt | request::kNmi), std::memory_order_acquire);
    if ((taken & request::kNmi) != 0) p.nmi_pending = true;
    if (p.nmi_pending && !p.nmi_blocked) return true;
    return (p.system_flags & rflags::IF) != 0 && p.interrupts.has_interrupt();
}

bool InterpreterVcpu::wait_until_runnable() {
    Processor& p = *processor_;
    spill_x87(p.regs);
    for (;;) {
        if (take_requests(kForVcpu)) return false;
        const bool halted = p.run_state == RunState::kHalted;
        if (halted && (p.pending_event || p.pending_debug != 0 || has_wake_event())) p.run_state = RunState::kRunning;
        if (p.run_state == RunState::kRunning) {
            p.attention = true;
            return true;
        }
        // All of these were taken just now: a bit that is there came since, and has not been looked at.
        const std::uint32_t awaited = halted ? kForVcpu | request::kInterrupt | request::kNmi : kForVcpu;
        const std::uint32_t left = p.requests.load(std::memory_order_acquire);
        if ((left & awaited) == 0) wait_for_request(left);
    }
}

void InterpreterVcpu::wait_for_request(std::uint32_t left) {
    using Clock = std::chrono::steady_clock;
    const auto& requests = processor_->requests;
    const Clock::time_point start = Clock::now();
    if (halt_polling_.window() != HaltPolling::Duration{}) {
        do {
            for (int n = 0; n < kLooksATime; ++n) {
                if (requests.load(std::memory_order_acquire) != left) return;
                __builtin_ia32_pause();
            }
            std::this_thread::yield(); // whoever is to wake us may need this processor
        } while (Clock::now() - start < halt_polling_.window());
    }
    const Clock::time_point asleep = Clock::now();
    requests.wait(left, std::memory_order_acquire);
    halt_polling_.slept(Clock::now() - asleep);
}

VcpuExit InterpreterVcpu::run() {
    Processor& p = *processor_;
    for (;;) {
        if (p.shutdown) return VcpuExit::kShutdown;
        if (take_requests(kForVcpu)) break;
        if (p.run_state != RunState::kRunning && !wait_until_runnable()) break;
        if (p.run_state != RunState::kRunning) continue;
        if (execute_processor() == StopReason::kDiffered) {
            spill_x87(p.regs);
            return VcpuExit::kDiffered;
        }
    }
    spill_x87(p.regs);
    return VcpuExit::kKicked;
}

std::expected<CpuState, CpuError> InterpreterVcpu::state() {
    take_requests(kSignals);
    return capture_state(*processor_);
}

std::expected<void, CpuError> InterpreterVcpu::set_state(const CpuState& state) {
    if (!apply_state(*processor_, state)) return std::unexpected(CpuError::kInvalidState);
    return {};
}

std::uint64_t InterpreterVcpu::guest_tsc() const { return interpreter::guest_tsc(*processor_); }

std::string InterpreterVcpu::report() const {
    std::string text = processor_->blocks->unimplemented().text();
    const UnknownMsrs& unknown = processor_->unknown_msrs;
    for (std::size_t n = 0; n < unknown.index_count; ++n) text += fmt::format("msr {:x}\n", unknown.indices[n]);
    return text;
}

std::string InterpreterVcpu::failure() const {
    static constexpr std::array kNames{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    const Processor& p = *processor_;
    std::string text = p.shutdown ? "triple fault\n" : "";
    text += fmt::format("rip {:016x} rflags {:08x} cs {:04x} ss {:04x} cpl {}\n", p.rip, p.rflags(),
                        p.segment(SegmentName::kCs).selector, p.segment(SegmentName::kSs).selector, p.cpl);
    for (std::size_t n = 0; n < kNames.size(); ++n)
        text += fmt::format("{:>3} {:016x}{}", kNames[n], p.regs.gpr[n], n % 4 == 3 ? "\n" : " ");
    text += fmt::format("cr0 {:08x} cr2 {:016x} cr3 {:016x} cr4 {:08x} efer {:04x}\n", p.cr0, p.cr2, p.cr3, p.cr4,
                        p.msr.efer);
    text += fmt::format("gdt {:016x}+{:04x} idt {:016x}+{:04x} tr {:04x}\n", p.gdtr.base, p.gdtr.limit, p.idtr.base,
                        p.idtr.limit, p.tr.selector);
    return text;
}

} // namespace touka::cpu::interpreter
