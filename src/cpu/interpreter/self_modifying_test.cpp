// Code that changes while it is known to the interpreter.
#include <gtest/gtest.h>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/program_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
constexpr std::uint64_t kCode = ProgramMachine::kCode;

TEST(SelfModifyingCode, TheVeryNextInstructionIsTheNewOne) {
    ProgramMachine m;
    for (int round = 0; round < 3; ++round) {
        // mov byte [rip+1],7; mov eax,1; hlt: the immediate becomes 7
        EXPECT_EQ(m.run({0xC6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x07, 0xB8, 0x01, 0x00, 0x00, 0x00, 0xF4}),
                  StopReason::kHalted);
        EXPECT_EQ(m.p.gpr(Gpr::kRax), 7u);
    }
}

TEST(SelfModifyingCode, ACallThatPushesOntoItsOwnPageStillReachesItsTarget) {
    ProgramMachine m;
    m.p.gpr(Gpr::kRsp) = kCode + 0x800;
    m.p.gpr(Gpr::kRax) = 0;
    // call +1; hlt; inc eax; ret
    EXPECT_EQ(m.run({0xE8, 0x01, 0x00, 0x00, 0x00, 0xF4, 0xFF, 0xC0, 0xC3}), StopReason::kHalted);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    EXPECT_EQ(m.p.rip, kCode + 6);
}

TEST(SelfModifyingCode, ARepeatedStoreOverItsOwnBlockTakesEffect) {
    ProgramMachine m;
    m.p.gpr(Gpr::kRdi) = kCode + 2;
    m.p.gpr(Gpr::kRcx) = 2;
    m.p.gpr(Gpr::kRax) = 0x90;
    m.p.gpr(Gpr::kRbx) = 0;
    // rep stosb; inc ebx; hlt: the INC becomes two NOPs
    EXPECT_EQ(m.run({0xF3, 0xAA, 0xFF, 0xC3, 0xF4}), StopReason::kHalted);
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 0u);
}

TEST(SelfModifyingCode, AWriteByADeviceIsSeenAtTheNextEntry) {
    ProgramMachine m;
    m.run({0xB8, 0x01, 0x00, 0x00, 0x00, 0xF4}); // mov eax,1; hlt
    ASSERT_EQ(m.p.gpr(Gpr::kRax), 1u);
    m.poke<std::uint8_t>(kCode + 1, 2);
    m.memory->written(spec::GuestAddress{kCode + 1}, 1);
    m.run_again();
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 2u);
}

TEST(SelfModifyingCode, AnotherProcessorsStoreIsSeen) {
    ProgramMachine m;
    Processor other(*m.memory, m.bus, m.port, small_cpuid(ProcessorModel::Vendor::kAmd));
    other.cr0 = m.p.cr0, other.cr3 = m.p.cr3, other.cr4 = m.p.cr4, other.msr.efer = m.p.msr.efer;
    other.segments = m.p.segments;
    update_mode(other);
    ASSERT_TRUE(write_linear<std::uint8_t>(other, kCode + 0x100, 0)); // its TLB knows the page before it holds code
    m.run({0xB8, 0x01, 0x00, 0x00, 0x00, 0xF4});
    ASSERT_TRUE(write_linear<std::uint8_t>(other, kCode + 1, 9));
    m.run_again();
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 9u);
}

TEST(SelfModifyingCode, AnInstructionAcrossTwoPagesDependsOnBoth) {
    ProgramMachine m;
    const std::uint64_t at = kCode + 0x1000 - 2;
    m.code({0xB8, 0x11, 0x22, 0x33, 0x44, 0xF4}, at); // mov eax,imm32; hlt
    m.run_again(at);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x4433'2211u);
    ASSERT_TRUE(write_linear<std::uint8_t>(m.p, kCode + 0x1000, 0x55));
    m.run_again(at);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x4433'5511u);
    ASSERT_TRUE(write_linear<std::uint8_t>(m.p, kCode + 0xFFF, 0x66));
    m.run_again(at);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x4433'5566u);
}

TEST(SelfModifyingCode, ACrossingInstructionFollowsTheMappingOfItsSecondPage) {
    ProgramMachine m;
    m.use_small_pages();
    constexpr std::uint64_t kAll = page_entry::P | page_entry::RW | page_entry::US;
    m.map(0, 0x10'0000, kAll);
    m.map(1, 0x11'0000, kAll);
    const std::uint64_t at = ProgramMachine::kHigh + 0xFFF;
    m.code({0xB8}, 0x10'0FFF);
    m.code({0x01, 0x00, 0x00, 0x00, 0xF4}, 0x11'0000);
    m.code({0x02, 0x00, 0x00, 0x00, 0xF4}, 0x12'0000);
    m.run_again(at);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 1u);
    m.map(1, 0x12'0000, kAll);
    m.run_again(at);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 2u);
    m.map(1, 0, 0);
    m.run_again(at);
    EXPECT_EQ(m.vector(), 14u);
    EXPECT_EQ(m.p.cr2, ProgramMachine::kHigh + 0x1000);
}

TEST(BlockCache, DropsEverythingWhenFullAndGoesOn) {
    ProgramMachine m;
    m.p.blocks = std::make_unique<BlockCache>(1 << 20);
    m.p.gpr(Gpr::kRcx) = 20'000;
    m.p.gpr(Gpr::kRax) = 0;
    // 1: inc byte [rip+4]; inc rax; mov dl,0; dec ecx; jnz 1b; hlt: each round changes its own MOV and decodes anew
    EXPECT_EQ(m.run({0xFE, 0x05, 0x04, 0x00, 0x00, 0x00, 0x48, 0xFF, 0xC0, 0xB2, 0x00, 0xFF, 0xC9, 0x75, 0xF1, 0xF4}),
              StopReason::kHalted);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 20'000u);
    EXPECT_EQ(m.p.gpr(Gpr::kRdx) & 0xFF, 20'000u & 0xFF);
    EXPECT_GT(m.p.blocks->drop_count(), 0u);
}

} // namespace
} // namespace touka::cpu::interpreter
