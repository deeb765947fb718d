// Two processors on two threads: x86-TSO, as litmus tests. (P. Sewell et al., x86-TSO, CACM 53:7, 2010, section 3)
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

class MemoryOrder : public testing::Test {
protected:
    static constexpr std::uint64_t kData = EngineGuest::kData;
    static constexpr std::uint64_t kOtherCode = EngineGuest::kCode + 0x1000;

    void SetUp() override {
        if (!guest_.start(TranslatorEngine::create(*guest_.m.memory)))
            GTEST_SKIP() << "this host's processor has no AVX2 or no BMI2";
        other_ = std::move(
            *guest_.engine->make_vcpu(1, guest_.m.p.cpuid, {.bus = &other_bus_, .interrupts = &guest_.m.port}));
        other_bus_.running = other_.get();
    }
    /// Runs the programs at kCode and kOtherCode at the same time. RSP apart, registers are the machine's.
    std::array<CpuState, 2> run() {
        guest_.m.p.rip = kOtherCode;
        CpuState start = interpreter::capture_state(guest_.m.p);
        start.reg(Gpr::kRsp) -= 0x800;
        std::array<CpuState, 2> ends;
        std::thread thread([&] {
            EXPECT_TRUE(other_->set_state(start));
            EXPECT_EQ(other_->run(), VcpuExit::kKicked);
            ends[1] = *other_->state();
        });
        ends[0] = guest_.run();
        thread.join();
        return ends;
    }

    EngineGuest guest_;
    StoppingBus other_bus_;
    std::unique_ptr<Vcpu> other_;
};

/// Waits for the other processor: R12 is the meeting's number, [RBP] how many came.
void meet(Assembler& c) {
    Xbyak::Label wait, both;
    c.add(r12d, 2);
    c.lock();
    c.inc(c.dword[rbp]);
    c.L(wait);
    c.cmp(c.dword[rbp], r12d);
    c.jae(both);
    c.pause();
    c.jmp(wait);
    c.L(both);
}

TEST_F(MemoryOrder, StoresPassNoLaterLoadsWithAFenceInBetween) {
    constexpr std::uint32_t kMeetings = 500, kStride = 64;
    constexpr std::uint64_t kX = kData + 0x10'0000, kY = kData + 0x20'0000, kMeeting = kData + 0x8000;
    constexpr std::array<std::uint64_t, 2> kSeen{kData + 0x1'0000, kData + 0x1'8000};
    const auto program = [&](bool first) {
        return [=](Assembler& c) {
            Xbyak::Label turn;
            c.mov(rbp, kMeeting);
            c.mov(rdi, first ? kX : kY);
            c.mov(rsi, first ? kY : kX);
            c.mov(rbx, kSeen[first ? 0 : 1]);
            c.mov(ecx, kMeetings);
            c.xor_(r12d, r12d);
            c.L(turn);
            meet(c);
            c.mov(c.dword[rdi], 1);
            c.mfence();
            c.mov(eax, c.dword[rsi]);
            c.mov(c.dword[rbx], eax);
            c.add(rdi, kStride);
            c.add(rsi, kStride);
            c.add(rbx, 4);
            c.dec(ecx);
            c.jnz(turn);
        };
    };
    guest_.assemble(program(true));
    guest_.assemble(program(false), kOtherCode);
    run();
    unsigned both_zero = 0;
    for (std::uint64_t n = 0; n < kMeetings; ++n)
        both_zero +=
            guest_.m.peek<std::uint32_t>(kSeen[0] + n * 4) == 0 && guest_.m.peek<std::uint32_t>(kSeen[1] + n * 4) == 0;
    EXPECT_EQ(both_zero, 0u);
}

TEST_F(MemoryOrder, AMessageIsThereWhenItsFlagIsSeen) {
    constexpr std::uint32_t kMessages = 200'000;
    constexpr std::uint64_t kMessage = kData, kFlag = kData + 0x1000;
    const auto start = [](Assembler& c) {
        c.mov(rdi, kMessage);
        c.mov(rsi, kFlag);
    };
    guest_.assemble([&](Assembler& c) { // writes
        Xbyak::Label turn;
        start(c);
        c.mov(eax, 1);
        c.L(turn);
        c.mov(c.dword[rdi], eax);
        c.mov(c.dword[rsi], eax);
        c.inc(eax);
        c.cmp(eax, kMessages);
        c.jbe(turn);
    });
    guest_.assemble(
        [&](Assembler& c) { // reads, and counts in RBX what it should not see
            Xbyak::Label turn, right;
            start(c);
            c.xor_(ebx, ebx);
            c.L(turn);
            c.mov(eax, c.dword[rsi]);
            c.mov(edx, c.dword[rdi]);
            c.cmp(edx, eax);
            c.jae(right);
            c.inc(ebx);
            c.L(right);
            c.cmp(eax, kMessages);
            c.jb(turn);
        },
        kOtherCode);
    EXPECT_EQ(EngineGuest::reg(run()[1], Gpr::kRbx), 0u);
}

TEST_F(MemoryOrder, LockedAdditionsLoseNothing) {
    constexpr std::uint32_t kTurns = 100'000;
    // Each processor sums what it found; all numbers below the total are found once.
    const auto program = [](Assembler& c) {
        Xbyak::Label turn;
        c.mov(rdi, kData);
        c.mov(ecx, kTurns);
        c.xor_(ebx, ebx);
        c.L(turn);
        c.mov(eax, 1);
        c.lock();
        c.xadd(c.dword[rdi], eax);
        c.add(rbx, rax);
        c.lock();
        c.inc(c.qword[rdi + 8]);
        c.dec(ecx);
        c.jnz(turn);
    };
    guest_.assemble(program);
    guest_.assemble(program, kOtherCode);
    const auto ends = run();
    constexpr std::uint64_t kTotal = std::uint64_t{2} * kTurns;
    EXPECT_EQ(guest_.m.peek<std::uint32_t>(kData), kTotal);
    EXPECT_EQ(guest_.m.peek(kData + 8), kTotal);
    EXPECT_EQ(EngineGuest::reg(ends[0], Gpr::kRbx) + EngineGuest::reg(ends[1], Gpr::kRbx), kTotal * (kTotal - 1) / 2);
}

TEST_F(MemoryOrder, OneProcessorSeesWhatTheOtherDoesToItsCode) {
    constexpr std::uint32_t kTurns = 100;
    constexpr std::uint64_t kFunction = EngineGuest::kCode + 0x2000, kAnswer = kData, kAsk = kData + 0x1000;
    guest_.code({0xB8, 0x00, 0x00, 0x00, 0x00, 0xC3}, kFunction); // mov eax,0; ret
    guest_.assemble([](Assembler& c) { // rewrites the function's constant and waits until the other got it
        Xbyak::Label turn, wait;
        c.mov(rdi, kFunction + 1);
        c.mov(rsi, kAsk);
        c.mov(rbp, kAnswer);
        c.mov(eax, 1);
        c.L(turn);
        c.mov(c.dword[rdi], eax);
        c.mov(c.dword[rsi], eax);
        c.L(wait);
        c.pause();
        c.cmp(c.dword[rbp], eax);
        c.jb(wait);
        c.inc(eax);
        c.cmp(eax, kTurns);
        c.jbe(turn);
    });
    guest_.assemble(
        [](Assembler& c) { // calls it once it was asked to; R13 counts answers that are too old
            Xbyak::Label turn, wait, right;
            c.mov(rdi, kFunction);
            c.mov(rsi, kAsk);
            c.mov(rbp, kAnswer);
            c.mov(ecx, 1);
            c.xor_(ebx, ebx);
            c.L(turn);
            c.L(wait);
            c.pause();
            c.cmp(c.dword[rsi], ecx);
            c.jb(wait);
            c.push(rcx);
            c.db(0x0F); // cpuid, as the manual asks of cross-modifying code
            c.db(0xA2);
            c.pop(rcx);
            c.call(rdi);
            c.cmp(eax, ecx);
            c.jae(right);
            c.inc(r13d);
            c.L(right);
            c.mov(c.dword[rbp], ecx);
            c.inc(ecx);
            c.cmp(ecx, kTurns);
            c.jbe(turn);
        },
        kOtherCode);
    guest_.m.p.gpr(Gpr::kR13) = 0;
    EXPECT_EQ(EngineGuest::reg(run()[1], Gpr::kR13), 0u);
}

} // namespace
} // namespace touka::cpu::translator
