// A guest with two processors, timer interrupts, IPIs and NMIs that moves from engine to engine while it computes.
#include <gtest/gtest.h>
#include <xbyak/xbyak.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include "cpu/interpreter/interpreter_engine.hpp"
#include "cpu/interpreter/program_fixture.hpp"
#include "cpu/interpreter/state_conversion.hpp"
#include "cpu/switching/switchable_engine.hpp"
#include "cpu/translator/translator_engine.hpp"
#include "machine/processors.hpp"
#include "platform/address_space.hpp"
#include "runtime/reactor.hpp"

namespace touka::machine {
namespace {

using cpu::interpreter::ProgramMachine;
using spec::GuestAddress;

constexpr std::uint32_t kProcessors = 2;
constexpr std::uint32_t kIterations = 20'000;
constexpr std::uint8_t kProgressPort = 0xF4, kDonePort = 0xF5, kNmiPort = 0xF6;
constexpr std::uint8_t kTimerVector = 0x40, kIpiVector = 0x41, kNmiVector = 2;

/// A processor's own RAM: counters, an array that it computes in, a function that it changes.
constexpr std::uint64_t own_area(std::uint32_t processor) {
    return ProgramMachine::kData + std::uint64_t{processor} * 0x1'0000;
}
constexpr std::uint32_t kTicks = 0, kReceived = 8, kSent = 16, kLastTsc = 24, kTscErrors = 32, kResult = 40, kNmis = 48,
                        kReady = 56, kReal = 64, kArray = 0x1000, kFunction = 0x3000;
/// One linear page for each processor, which it maps to one of two pages of RAM in turn.
constexpr std::uint64_t window(std::uint32_t processor) {
    return ProgramMachine::kHigh + std::uint64_t{processor} * 0x1000;
}
constexpr std::uint64_t kWindowRam = 0x20'0000;

/// What the program writes to ports, for the control thread and for whoever sends NMIs.
class GuestBus final : public cpu::CpuBus {
public:
    std::uint64_t read_memory(GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    void write_port(std::uint16_t port, unsigned, std::uint32_t) override {
        if (port == kProgressPort) events.put(MachineEvent::kEngineSwitchDue);
        if (port == kDonePort) events.put(MachineEvent::kPoweredOff);
        if (port == kNmiPort) nmi_taken.release();
    }
    MachineEvents events;
    std::counting_semaphore<> nmi_taken{0};
};

/// RBX: own area, R15: the other's, R14: the other's APIC ID, R10: window, R12: its page-table entry.
class Program : public Xbyak::CodeGenerator {
public:
    Program() : CodeGenerator(0x4000) {
        start_apic();
        compute();
        handler(timer, kTicks);
        handler(ipi, kReceived);
        L(nmi);
        push(rax);
        inc(qword[rbx + kNmis]);
        out_(kNmiPort, al);
        pop(rax);
        interrupt_return();
    }
    Xbyak::Label timer, ipi, nmi;

private:
    void write_msr(std::uint32_t index, std::uint32_t value) {
        mov(ecx, index);
        mov(eax, value);
        xor_(edx, edx);
        wrmsr();
    }
    void start_apic() {
        mov(ecx, 0x1B);
        rdmsr();
        or_(eax, 0xC00); // x2APIC mode
        wrmsr();
        write_msr(0x80F, 0x1FF);
        write_msr(0x83E, 0xB); // one count is a nanosecond
        write_msr(0x832, 0x2'0000 | kTimerVector);
        write_msr(0x838, 100'000);
        sti();
        // An APIC that is not enabled yet drops what is sent to it.
        Xbyak::Label waiting;
        mov(qword[rbx + kReady], 1);
        L(waiting);
        pause();
        cmp(qword[r15 + kReady], 0);
        je(waiting);
    }
    void compute() {
        Xbyak::Label loop, no_change, no_ipi, waiting, no_progress, no_halt, end, sum;
        fninit();
        fldz();
        vpxor(ymm0, ymm0, ymm0);
        mov(r13, 6364136223846793005);
        mov(rsi, r14);
        xor_(ebp, ebp);
        xor_(edi, edi);
        L(loop);
        imul(rsi, r13);
        add(rsi, rdi);
        mov(rax, rsi);
        shr(rax, 33);
        xor_(rbp, rax);
        rol(rbp, 7);
        adc(rbp, 0x1234);
        mov(ecx, eax);
        and_(ecx, 0xFF8);
        add(ptr[rbx + rcx + kArray], rbp);
        fiadd(dword[rbx + rcx + kArray]);
        vmovq(xmm1, rsi);
        vpbroadcastq(ymm1, xmm1);
        vpaddq(ymm0, ymm0, ymm1);
        vpermq(ymm0, ymm0, 0x93);

        test(edi, 15);
        jnz(no_change, T_NEAR);
        lea(r11, ptr[rbx + kFunction]);
        mov(ptr[r11 + 1], esi);
        call(r11);
        add(rbp, rax);
        xor_(qword[r12], 0x1000);
        invlpg(ptr[r10]);
        add(ptr[r10], rbp);
        xor_(rbp, ptr[r10]);
        L(no_change);

        test(edi, 63);
        jnz(no_ipi, T_NEAR);
        inc(qword[rbx + kSent]);
        mov(ecx, 0x830);
        mov(eax, 0x4000 | kIpiVector);
        mov(edx, r14d);
        wrmsr();
        mov(rax, ptr[rbx + kSent]);
        L(waiting);
        pause();
        cmp(ptr[r15 + kReceived], rax);
        jb(waiting);
        L(no_ipi);

        test(edi, 127);
        jnz(no_progress, T_NEAR);
        out_(kProgressPort, al);
        L(no_progress);
        test(edi, 4095);
        jnz(no_halt, T_NEAR);
        hlt();
        L(no_halt);
        inc(edi);
        cmp(edi, kIterations);
        jb(loop, T_NEAR);

        fstp(qword[rbx + kReal]);
        vmovdqu(ptr[rbx + kArray], ymm0);
        add(rbp, ptr[rbx + kReal]);
        xor_(ecx, ecx);
        L(sum);
        imul(rbp, r13);
        xor_(rbp, ptr[rbx + rcx + kArray]);
        add(ecx, 8);
        cmp(ecx, 0x1000);
        jb(sum);
        mov(ptr[rbx + kResult], rbp);
        out_(kDonePort, al);
        L(end);
        hlt();
        jmp(end);
    }
    void handler(Xbyak::Label& label, std::uint32_t counter) {
        Xbyak::Label in_order;
        L(label);
        push(rax);
        push(rcx);
        push(rdx);
        inc(qword[rbx + counter]);
        rdtsc();
        shl(rdx, 32);
        or_(rax, rdx);
        cmp(rax, ptr[rbx + kLastTsc]);
        jae(in_order);
        inc(qword[rbx + kTscErrors]);
        L(in_order);
        mov(ptr[rbx + kLastTsc], rax);
        write_msr(0x80B, 0);
        pop(rdx);
        pop(rcx);
        pop(rax);
        interrupt_return();
    }
    void out_(std::uint8_t port, const Xbyak::Reg8&) {
        db(0xE6);
        db(port);
    }
    void interrupt_return() {
        db(0x48);
        db(0xCF);
    }
    void invlpg(const Xbyak::Address&) { // [r10]
        for (const int code : {0x41, 0x0F, 0x01, 0x3A}) db(code);
    }
};

class SwitchedGuest {
public:
    /// @pre the translator exists on this host.
    SwitchedGuest()
        : engine_(*cpu::translator::TranslatorEngine::create(*m_.memory),
                  *cpu::interpreter::InterpreterEngine::create(*m_.memory)),
          interrupts_(
              make_software_interrupts(kProcessors, engine_.tsc_frequency_hz(), timers_, memory_space_, port_space_)) {
        load();
        processors_ = std::move(*Processors::create(engine_, kProcessors, bus_, *interrupts_, bus_.events));
    }

    /// @param switches whether the guest goes to the other engine each time that it says how far it is.
    void run(bool switches) {
        ASSERT_TRUE(processors_->set_states(states_));
        processors_->resume();
        std::jthread device([this](const std::stop_token& stop) { send_nmis(stop); });
        for (std::uint32_t running = kProcessors; running != 0;) {
            switch (bus_.events.take()) {
                case MachineEvent::kPoweredOff: --running; break;
                case MachineEvent::kEngineSwitchDue:
                    nmi_due_.release();
                    if (switches) switch_over();
                    break;
                default: running = 0; ADD_FAILURE() << processors_->failure();
            }
        }
        device.request_stop();
        nmi_due_.release();
        device.join();
        processors_->pause();
    }

    [[nodiscard]] std::uint64_t counter(std::uint32_t processor, std::uint32_t offset) const {
        return m_.peek(own_area(processor) + offset);
    }
    int switch_count = 0;
    std::uint64_t nmis_sent = 0;
    bool nmi_was_lost = false;

private:
    void load() {
        Program program;
        m_.place(ProgramMachine::kCode, {program.getCode(), program.getSize()});
        const auto gate = [&](unsigned vector, const Xbyak::Label& label) {
            const auto offset = static_cast<std::uint64_t>(label.getAddress() - program.getCode());
            m_.set_gate(vector, ProgramMachine::kCode64, 0x8E00, ProgramMachine::kCode + offset);
        };
        gate(kTimerVector, program.timer);
        gate(kIpiVector, program.ipi);
        gate(kNmiVector, program.nmi);
        m_.use_small_pages();
        m_.p.cr4 |= spec::x86::cr4::OSFXSR | spec::x86::cr4::OSXSAVE;
        m_.p.xcr0 = 7;
        for (std::uint32_t n = 0; n < kProcessors; ++n) {
            m_.code({0xB8, 0, 0, 0, 0, 0xC3}, own_area(n) + kFunction); // mov eax, 0; ret
            m_.map(n, kWindowRam + std::uint64_t{n} * 0x2000, spec::x86::page_entry::P | spec::x86::page_entry::RW);
            const std::uint32_t other = 1 - n;
            m_.p.gpr(cpu::Gpr::kRbx) = own_area(n);
            m_.p.gpr(cpu::Gpr::kR15) = own_area(other);
            m_.p.gpr(cpu::Gpr::kR14) = other;
            m_.p.gpr(cpu::Gpr::kR10) = window(n);
            m_.p.gpr(cpu::Gpr::kR12) = ProgramMachine::kTable + std::uint64_t{n} * 8;
            m_.p.gpr(cpu::Gpr::kRsp) = n == 0 ? ProgramMachine::kStack : ProgramMachine::kKernelStack;
            m_.p.rip = ProgramMachine::kCode;
            m_.p.run_state = cpu::RunState::kRunning;
            states_.push_back(capture_state(m_.p));
        }
    }

    void switch_over() {
        processors_->pause();
        ASSERT_TRUE(engine_.switch_over());
        ++switch_count;
        processors_->resume();
    }

    /// One while the processors are being switched, to each in turn, and none before the last was taken, so that none
    /// merges with another.
    void send_nmis(const std::stop_token& stop) {
        constexpr std::uint32_t kDeliverNmi = 4 << 8;
        for (nmi_due_.acquire(); !stop.stop_requested(); nmi_due_.acquire()) {
            interrupts_->msi().send({0xFEE0'0000 | (nmis_sent % kProcessors) << 12, kDeliverNmi});
            ++nmis_sent;
            if (!bus_.nmi_taken.try_acquire_for(std::chrono::seconds(20))) {
                nmi_was_lost = true;
                return;
            }
        }
    }

    runtime::Reactor timers_{"timers"};
    ProgramMachine m_;
    GuestBus bus_;
    platform::AddressSpace memory_space_, port_space_;
    cpu::switching::SwitchableEngine engine_;
    std::unique_ptr<Processors> processors_;
    std::unique_ptr<InterruptSystem> interrupts_;
    std::vector<cpu::CpuState> states_;
    std::counting_semaphore<> nmi_due_{0};
};

TEST(EngineSwitch, ComputesTheSameAndLosesNoInterruptWhileItMovesBackAndForth) {
    if (!cpu::translator::TranslatorEngine::create(**memory::GuestMemory::create(1 << 20)))
        GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
    SwitchedGuest still, moving;
    still.run(false);
    moving.run(true);
    EXPECT_GT(moving.switch_count, 200);
    for (std::uint32_t n = 0; n < kProcessors; ++n) {
        EXPECT_NE(moving.counter(n, kResult), 0u);
        EXPECT_EQ(moving.counter(n, kResult), still.counter(n, kResult));
        EXPECT_EQ(moving.counter(n, kReceived), moving.counter(1 - n, kSent));
        EXPECT_EQ(moving.counter(n, kSent), still.counter(n, kSent));
        EXPECT_GT(moving.counter(n, kTicks), 10u);
        EXPECT_EQ(moving.counter(n, kTscErrors), 0u);
    }
    EXPECT_FALSE(moving.nmi_was_lost);
    EXPECT_EQ(moving.counter(0, kNmis) + moving.counter(1, kNmis), moving.nmis_sent);
}

} // namespace
} // namespace touka::machine
