// Instructions that the interpreter does for translated code, and that lead elsewhere or change the mode.
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;
using interpreter::SmallMachine;

constexpr std::uint64_t kCode = EngineGuest::kCode, kHandler = kCode + 0x100;

class Transfer : public BothEngines {
protected:
    [[nodiscard]] static std::uint64_t reg(const CpuState& s, Gpr name) { return EngineGuest::reg(s, name); }
    /// Pushes what IRETQ pops.
    static void push_frame(EngineGuest& g, std::uint64_t cs, std::uint64_t ss, std::uint64_t flags, std::uint64_t rip) {
        auto& rsp = g.m.p.gpr(Gpr::kRsp);
        const std::uint64_t stack = rsp;
        rsp -= 40;
        const std::array frame{rip, cs, flags, stack, ss};
        for (std::size_t n = 0; n < frame.size(); ++n) g.m.poke(rsp + 8 * n, frame[n]);
    }
};

TEST_F(Transfer, SystemCallsGoBackAndForthWithoutLeavingTranslatedCode) {
    constexpr std::uint64_t kCalls = 50;
    prepare([](EngineGuest& g) {
        auto& p = g.m.p;
        p.msr.efer |= efer::SCE;
        // SYSRET: CS is this + 16, SS this + 8.
        p.msr.star = std::uint64_t{SmallMachine::kUserCode64 - 16u} << 48 | std::uint64_t{SmallMachine::kCode64} << 32;
        p.msr.lstar = kHandler;
        p.gpr(Gpr::kRbx) = 0;
        p.gpr(Gpr::kR8) = kCalls;
        g.code({0x0F, 0x05, 0x41, 0xFF, 0xC8, 0x75, 0xF9}); // L: syscall; dec r8d; jnz L
        g.end_at(kCode + 7);
        g.code({0xFF, 0xC3, 0x48, 0x0F, 0x07}, kHandler); // inc ebx; sysretq
    });
    const CpuState s = run();
    EXPECT_EQ(reg(s, Gpr::kRbx), kCalls);
    EXPECT_EQ(s.rip, kCode + 7 + EngineGuest::kOutBytes);
    const auto exits = translator_.statistics().exits;
    EXPECT_LT(std::accumulate(exits.begin(), exits.end(), std::uint64_t{0}), kCalls);
}

TEST_F(Transfer, ReturningToCompatibilityModeRunsItsCodeWhatEverThatWasBefore) {
    constexpr unsigned kVector = 0x40;
    constexpr std::uint8_t kUserGate = 0xEE; // present, DPL 3, interrupt gate
    prepare([](EngineGuest& g) {
        g.m.p.gpr(Gpr::kRax) = 0;
        g.m.p.gpr(Gpr::kR8) = 2;
        push_frame(g, SmallMachine::kUserCode64, SmallMachine::kUserData, rflags::FIXED, kHandler);
        g.code({0x48, 0xCF}); // iretq
        // inc eax with a prefix; in compatibility mode twice inc eax. int 40h
        g.code({0x40, 0xFF, 0xC0, 0xCD, kVector}, kHandler);
        // dec r8d; jz E; mov byte [rsp+8],kUserCode32; sub qword [rsp],5; iretq; E:
        g.code({0x41, 0xFF, 0xC8, 0x74, 0x0C, 0xC6, 0x44, 0x24, 0x08, SmallMachine::kUserCode32, 0x48, 0x83, 0x2C, 0x24,
                0x05, 0x48, 0xCF},
               kHandler + 0x100);
        g.end_at(kHandler + 0x111);
        g.code({0xE9}, SmallMachine::handler(kVector)); // jmp
        g.m.poke(SmallMachine::handler(kVector) + 1,
                 static_cast<std::uint32_t>(kHandler + 0x100 - (SmallMachine::handler(kVector) + 5)));
        g.m.poke(SmallMachine::kIdt + kVector * 16 + 5, kUserGate);
    });
    EXPECT_EQ(reg(run(), Gpr::kRax), 3u);
}

TEST_F(Transfer, AnInterruptComesBeforeTheInstructionThatIretqReturnsTo) {
    prepare([](EngineGuest& g) {
        auto& p = g.m.p;
        p.system_flags &= ~rflags::IF;
        p.gpr(Gpr::kRbx) = 0;
        push_frame(g, p.segment(SegmentName::kCs).selector, p.segment(SegmentName::kSs).selector,
                   rflags::FIXED | rflags::IF, kHandler);
        g.code({0x48, 0xCF});           // iretq
        g.code({0xFF, 0xC3}, kHandler); // inc ebx
        g.end_at(kHandler + 2);
        g.m.port.pending = 0x40;
        g.vcpu->interrupt_target()->interrupt_pending();
    });
    CpuState s = translator_.run();
    EXPECT_EQ(EngineGuest::vector_of(s), 0x40u);
    EXPECT_EQ(reg(s, Gpr::kRbx), 0u);
}

TEST_F(Transfer, WritingCr3GoesOnInTheNewAddressSpace) {
    prepare([](EngineGuest& g) {
        g.m.use_small_pages();
        g.m.map(0, EngineGuest::kData, EngineGuest::kReadWrite);
        g.m.poke<std::uint32_t>(EngineGuest::kData, 7);
        g.m.p.gpr(Gpr::kRax) = g.m.p.cr3;
        g.m.p.gpr(Gpr::kRbx) = EngineGuest::kHigh;
        // mov ecx,[rbx]; mov cr3,rax; add ecx,[rbx]
        g.code({0x8B, 0x0B, 0x0F, 0x22, 0xD8, 0x03, 0x0B});
        g.end_at(kCode + 7);
    });
    EXPECT_EQ(reg(run(), Gpr::kRcx), 14u);
}

} // namespace
} // namespace touka::cpu::translator
