// Requests from outside, and going on elsewhere.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace spec::x86;

TEST_P(Translator, EndsAnEndlessLoopWhenKicked) {
    code({0xEB, 0xFE}); // jmp to itself
    std::thread other([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        vcpu->kick();
    });
    EXPECT_EQ(run().rip, kCode);
    other.join();
}

TEST_P(Translator, TakesAnInterruptBehindTheInstructionAfterSti) {
    m.port.pending = 0x40;
    // cli; mov ecx,1000; L: dec ecx; jnz L; sti; inc ebx; inc ebx; jmp to itself
    m.p.gpr(Gpr::kRbx) = 0;
    code({0xFA, 0xB9, 0xE8, 0x03, 0x00, 0x00, 0xFF, 0xC9, 0x75, 0xFC, 0xFB, 0xFF, 0xC3, 0xFF, 0xC3, 0xEB, 0xFE});
    vcpu->interrupt_target()->interrupt_pending();
    const CpuState s = run();
    EXPECT_EQ(vector_of(s), 0x40u);
    EXPECT_EQ(reg(s, Gpr::kRbx), 1u);
}

TEST_P(Translator, GoesOnWhereAnotherEngineStopped) {
    auto interpreter = interpreter::InterpreterEngine::create(*m.memory);
    ASSERT_TRUE(interpreter);
    const auto other = make(**interpreter);
    m.p.cr4 |= cr4::OSFXSR;
    m.p.gpr(Gpr::kRbx) = 0;
    m.p.gpr(Gpr::kRcx) = 6;
    // L: inc ebx; cvtsi2sd xmm1,ebx; addsd xmm0,xmm1; out; dec ecx; jnz L; out; jmp to itself
    code({0xFF, 0xC3,  0xF2, 0x0F, 0x2A, 0xCB, 0xF2, 0x0F,  0x58, 0xC1,
          kOut, kPort, 0xFF, 0xC9, 0x75, 0xF0, kOut, kPort, 0xEB, 0xFE});
    constexpr std::uint64_t kEnd = kCode + 18;
    m.p.rip = kCode;
    CpuState s = interpreter::capture_state(m.p);
    for (int turn = 0; turn < 7 && s.rip != kEnd; ++turn) s = resume(turn % 2 == 0 ? *vcpu : *other, s);
    EXPECT_EQ(s.rip, kEnd);
    double sum = 0;
    std::memcpy(&sum, s.xsave.data() + 160, sizeof(sum)); // XMM0 of the legacy area
    EXPECT_EQ(sum, 21.0);
}

INSTANTIATE_TEST_SUITE_P(Checking, Translator, testing::ValuesIn(kCheckings), checking_name);

} // namespace
} // namespace touka::cpu::translator
