#include "cpu/interpreter/run_loop.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

TEST(RunLoop, RunsALoopUntilHalt) {
    ProgramMachine m;
    // mov ecx,1000; xor eax,eax; 1: add rax,rcx; dec rcx; jnz 1b; hlt
    EXPECT_EQ(m.run({0xB9, 0xE8, 0x03, 0x00, 0x00, 0x31, 0xC0, 0x48, 0x01, 0xC8, 0x48, 0xFF, 0xC9, 0x75, 0xF8, 0xF4}),
              StopReason::kHalted);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 500'500u);
    EXPECT_EQ(m.p.rip, ProgramMachine::kCode + 16);
    EXPECT_NE(m.p.rflags() & rflags::ZF, 0u);
}

TEST(RunLoop, AKickFromAnotherThreadEndsAnEndlessLoop) {
    ProgramMachine m;
    std::thread other([&] { m.p.requests.fetch_or(request::kKick, std::memory_order_release); });
    EXPECT_EQ(m.run({0xEB, 0xFE}), StopReason::kRequested); // jmp .
    other.join();
    EXPECT_EQ(m.p.rip, ProgramMachine::kCode);
}

TEST(RunLoop, AnInterruptWaitsForIf) {
    ProgramMachine m;
    m.port.pending = 0x40;
    EXPECT_EQ(m.run({0xFF, 0xC0, 0xF4}), StopReason::kHalted); // inc eax; hlt
    EXPECT_EQ(m.vector(), 256u);
    m.p.system_flags |= rflags::IF;
    EXPECT_EQ(m.run_again(), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 0x40u);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode);
}

TEST(RunLoop, AfterStiOneMoreInstructionRunsFirst) {
    ProgramMachine m;
    m.port.pending = 0x40;
    m.p.gpr(Gpr::kRax) = m.p.gpr(Gpr::kRcx) = 0;
    EXPECT_EQ(m.run({0xFB, 0xFF, 0xC0, 0xFF, 0xC1, 0xF4}), StopReason::kHalted); // sti; inc eax; inc ecx; hlt
    EXPECT_EQ(m.vector(), 0x40u);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRcx), 0u);
}

TEST(RunLoop, PopfThatSetsIfLetsAnInterruptInAtOnce) {
    ProgramMachine m;
    m.port.pending = 0x41;
    m.p.gpr(Gpr::kRax) = 0;
    EXPECT_EQ(m.run({0x68, 0x02, 0x02, 0x00, 0x00, 0x9D, 0xFF, 0xC0, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 0x41u);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0u);
}

TEST(RunLoop, SingleStepTrapsAfterTheInstruction) {
    ProgramMachine m;
    m.p.gpr(Gpr::kRax) = 0;
    m.p.system_flags |= rflags::TF;
    EXPECT_EQ(m.run({0xFF, 0xC0, 0xFF, 0xC0, 0xF4}), StopReason::kHalted); // inc eax; inc eax; hlt
    EXPECT_EQ(m.vector(), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.return_rip(false), ProgramMachine::kCode + 2);
    EXPECT_NE(m.p.dr[6] & (1u << 14), 0u);
}

TEST(RunLoop, AnInstructionBreakpointFaultsBeforeItsInstruction) {
    ProgramMachine m;
    m.p.gpr(Gpr::kRax) = 0;
    m.p.dr[1] = ProgramMachine::kCode + 2;
    m.p.dr[7] |= 1u << 2; // L1
    EXPECT_EQ(m.run({0xFF, 0xC0, 0xFF, 0xC0, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 1u);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.dr[6] & 0xF, 2u);
}

TEST(RunLoop, AFaultLeavesTheInstructionUndone) {
    ProgramMachine m;
    m.use_small_pages();
    m.p.gpr(Gpr::kRdi) = ProgramMachine::kHigh + 0x123;
    m.p.gpr(Gpr::kRax) = 5;
    EXPECT_EQ(m.run({0xFF, 0xC0, 0x48, 0x01, 0x07, 0xF4}), StopReason::kHalted); // inc eax; add [rdi],rax; hlt
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.error_code(), page_fault::W);
    EXPECT_EQ(m.return_rip(true), ProgramMachine::kCode + 2);
    EXPECT_EQ(m.p.cr2, ProgramMachine::kHigh + 0x123);
}

TEST(RunLoop, AnInstructionNobodyKnowsIsCountedAndUndefined) {
    ProgramMachine m;
    // vaddph zmm0, zmm1, zmm2 (AVX512_FP16)
    EXPECT_EQ(m.run({0x62, 0xF5, 0x74, 0x48, 0x58, 0xC2, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 6u);
    EXPECT_EQ(m.p.blocks->unimplemented().count_of(ZYDIS_MNEMONIC_VADDPH), 1u);
    EXPECT_EQ(m.p.blocks->unimplemented().text(), "vaddph 1\n");
}

TEST(RunLoop, TheUndefinedInstructionOnPurposeIsNotCounted) {
    ProgramMachine m;
    EXPECT_EQ(m.run({0x0F, 0x0B}), StopReason::kHalted);
    EXPECT_EQ(m.vector(), 6u);
    EXPECT_TRUE(m.p.blocks->unimplemented().empty());
}

TEST(RunLoop, FetchingFromAnAbsentPageFaultsWithTheTargetInCr2) {
    ProgramMachine m;
    m.use_small_pages();
    m.p.gpr(Gpr::kRax) = ProgramMachine::kHigh + 8;
    EXPECT_EQ(m.run({0xFF, 0xE0}), StopReason::kHalted); // jmp rax
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.error_code(), page_fault::I);
    EXPECT_EQ(m.p.cr2, ProgramMachine::kHigh + 8);
}

TEST(RunLoop, SixteenBytesOfPrefixesAreTooLong) {
    ProgramMachine m;
    EXPECT_EQ(m.run({0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90}),
              StopReason::kHalted);
    EXPECT_EQ(m.vector(), 13u);
}

} // namespace
} // namespace touka::cpu::interpreter
