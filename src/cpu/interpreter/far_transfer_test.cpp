#include "cpu/interpreter/far_transfer.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/processor_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using FaultOf = std::pair<unsigned, std::uint32_t>;

constexpr std::initializer_list<std::uint8_t> kIretq{0x48, 0xCF}, kIretd{0xCF}, kRetfq{0x48, 0xCB}, kRetf{0xCB},
    kJumpFarRbx{0xFF, 0x2B}, kCallFarRbx{0xFF, 0x1B};
constexpr std::uint64_t kTarget = 0x12'3456, kPointer = 0x9000;

class LongModeTransfer : public testing::Test {
protected:
    LongModeTransfer() {
        m.set_up_long_mode();
        m.p.gpr(Gpr::kRbx) = kPointer;
    }
    void push(std::initializer_list<std::uint64_t> values) {
        for (const std::uint64_t value : values) m.poke(m.p.gpr(Gpr::kRsp) -= 8, value);
    }
    void push_iret_frame(std::uint64_t ss, std::uint64_t rsp, std::uint64_t flags, std::uint64_t cs,
                         std::uint64_t rip = kTarget) {
        push({ss, rsp, flags, cs, rip});
    }
    /// A far pointer of 16:32 for the indirect forms.
    void point_to(std::uint16_t selector, std::uint32_t offset) {
        m.poke(kPointer, offset);
        m.poke(kPointer + 4, selector);
    }
    [[nodiscard]] std::uint16_t cs() const { return m.p.segment(SegmentName::kCs).selector; }
    [[nodiscard]] const SegmentState& ss() const { return m.p.segment(SegmentName::kSs); }

    SmallMachine m;
};

TEST_F(LongModeTransfer, IretqReturnsToUserCode) {
    push_iret_frame(SmallMachine::kUserData, SmallMachine::kUserStack, rflags::IF | rflags::CF,
                    SmallMachine::kUserCode64);
    m.p.nmi_blocked = true;
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, kTarget);
    EXPECT_EQ(m.p.cpl, 3);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kUserStack);
    EXPECT_EQ(m.p.rflags(), rflags::FIXED | rflags::IF | rflags::CF);
    EXPECT_FALSE(m.p.nmi_blocked);
    EXPECT_TRUE(m.p.attention); // an interrupt may have waited for IF
}

TEST_F(LongModeTransfer, IretqMakesInnerDataSegmentsNull) {
    push_iret_frame(SmallMachine::kUserData, SmallMachine::kUserStack, 0, SmallMachine::kUserCode64);
    m.p.segment(SegmentName::kEs) = m.segment_of(SmallMachine::kUserData);
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_TRUE(m.p.segment(SegmentName::kDs).unusable);
    EXPECT_EQ(m.p.segment(SegmentName::kEs).selector, SmallMachine::kUserData);
}

TEST_F(LongModeTransfer, IretqKeepsFsBaseThatAnMsrSetWithANullSelector) {
    push_iret_frame(SmallMachine::kUserData, SmallMachine::kUserStack, 0, SmallMachine::kUserCode64);
    m.p.segment(SegmentName::kFs) = {.selector = 0, .attributes = 0, .unusable = true, .limit = 0, .base = 0x7000'1234};
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_EQ(m.p.segment(SegmentName::kFs).base, 0x7000'1234u);
}

TEST_F(LongModeTransfer, IretqToCompatibilityMode) {
    push_iret_frame(SmallMachine::kUserData, 0x1'0000'2000, 0, SmallMachine::kUserCode32);
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_EQ(m.p.code_size, CodeSize::k32);
    EXPECT_TRUE(m.p.long_mode);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), 0x2000u);
}

TEST_F(LongModeTransfer, IretqOfTheSamePrivilegePopsTheStackToo) {
    push_iret_frame(0, 0xABC0, 0, SmallMachine::kCode64);
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), 0xABC0u);
    EXPECT_TRUE(ss().unusable);
    EXPECT_EQ(m.p.cpl, 0);
}

TEST_F(LongModeTransfer, IretqRefusesWhatItShould) {
    struct Case {
        std::uint64_t ss, cs, rip;
        unsigned vector;
        std::uint32_t error;
    };
    for (const Case& c : {Case{SmallMachine::kUserData, 0, kTarget, 13, 0},
                          Case{SmallMachine::kUserData, SmallMachine::kData, kTarget, 13, SmallMachine::kData},
                          Case{SmallMachine::kUserData, 0x1000, kTarget, 13, 0x1000},
                          Case{SmallMachine::kData, SmallMachine::kAbsentCode, kTarget, 11, SmallMachine::kAbsentCode},
                          Case{0, SmallMachine::kUserCode64, kTarget, 13, 0},
                          Case{SmallMachine::kData, SmallMachine::kUserCode64, kTarget, 13, SmallMachine::kData},
                          Case{SmallMachine::kUserData, SmallMachine::kUserCode64, 0x8000'0000'0000, 13, 0}}) {
        m.set_up_long_mode();
        push_iret_frame(c.ss, SmallMachine::kUserStack, 0, c.cs, c.rip);
        const std::uint64_t rsp = m.p.gpr(Gpr::kRsp);
        EXPECT_EQ(m.fault_of(kIretq), FaultOf(c.vector, c.error)) << std::hex << c.cs;
        EXPECT_EQ(m.p.gpr(Gpr::kRsp), rsp);
        EXPECT_EQ(cs(), SmallMachine::kCode64);
    }
}

TEST_F(LongModeTransfer, UsersCannotIretInwardsNorChangeIopl) {
    m.set_up_long_mode(true);
    push_iret_frame(SmallMachine::kData, SmallMachine::kStack, 0, SmallMachine::kCode64);
    EXPECT_EQ(m.fault_of(kIretq), FaultOf(13, SmallMachine::kCode64));
    m.set_up_long_mode(true);
    m.p.set_rflags(rflags::IF);
    push_iret_frame(SmallMachine::kUserData, SmallMachine::kUserStack, rflags::IOPL | rflags::ZF,
                    SmallMachine::kUserCode64);
    ASSERT_EQ(m.execute(kIretq), Outcome::kJumped);
    EXPECT_EQ(m.p.rflags(), rflags::FIXED | rflags::IF | rflags::ZF);
}

TEST_F(LongModeTransfer, NestedTasksDoNotExist) {
    m.p.system_flags |= rflags::NT;
    EXPECT_EQ(m.fault_of(kIretq), FaultOf(13, 0));
}

TEST_F(LongModeTransfer, FarJumpsChangeTheCodeSize) {
    point_to(SmallMachine::kCode32, kTarget);
    ASSERT_EQ(m.execute(kJumpFarRbx), Outcome::kJumped);
    EXPECT_EQ(m.p.code_size, CodeSize::k32);
    EXPECT_EQ(m.p.rip, kTarget);
    ASSERT_EQ(m.execute({0xEA, 0x00, 0x20, 0x00, 0x00, SmallMachine::kCode64, 0x00}), Outcome::kJumped);
    EXPECT_EQ(m.p.code_size, CodeSize::k64);
    EXPECT_EQ(m.p.rip, 0x2000u);
}

TEST_F(LongModeTransfer, FarJumpsCheckTheirTarget) {
    for (const auto& [selector, fault] :
         {std::pair(std::uint16_t{0}, FaultOf(13, 0)), std::pair(std::uint16_t{2}, FaultOf(13, 0)),
          std::pair(SmallMachine::kData, FaultOf(13, SmallMachine::kData)),
          std::pair(SmallMachine::kUserCode64, FaultOf(13, SmallMachine::kUserCode64 & ~3u)),
          std::pair(SmallMachine::kAbsentCode, FaultOf(11, SmallMachine::kAbsentCode)),
          std::pair(SmallMachine::kTssSelector, FaultOf(13, SmallMachine::kTssSelector)),
          std::pair(std::uint16_t{0x2004}, FaultOf(13, 0x2004))}) {
        point_to(selector, 0);
        EXPECT_EQ(m.fault_of(kJumpFarRbx), fault) << selector;
    }
}

TEST_F(LongModeTransfer, FarCallAndReturnAreEachOthersInverse) {
    point_to(SmallMachine::kCode32, kTarget);
    ASSERT_EQ(m.execute(kCallFarRbx), Outcome::kJumped);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack - 8);
    EXPECT_EQ(m.peek<std::uint32_t>(SmallMachine::kStack - 8), SmallMachine::kCode + 2);
    EXPECT_EQ(m.peek<std::uint32_t>(SmallMachine::kStack - 4), SmallMachine::kCode64);
    ASSERT_EQ(m.execute({0xCB}), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, SmallMachine::kCode + 2);
    EXPECT_EQ(m.p.code_size, CodeSize::k64);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack);
}

TEST_F(LongModeTransfer, ACallGateLeadsUserCodeToRing0AndRetfqBack) {
    // 16 bytes at selector 18h: a gate of DPL 3 to kTarget in kCode64.
    m.set_up_long_mode(true);
    m.p.gpr(Gpr::kRbx) = kPointer;
    m.poke(SmallMachine::kGdt + 0x18, 0x0012'EC00'0008'3456);
    m.poke(SmallMachine::kGdt + 0x20, std::uint64_t{0});
    point_to(0x1B, 0xDEAD);
    ASSERT_EQ(m.execute(kCallFarRbx), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, kTarget);
    EXPECT_EQ(m.p.cpl, 0);
    EXPECT_TRUE(ss().unusable);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kKernelStack - 32);
    EXPECT_EQ(m.peek(SmallMachine::kKernelStack - 8), SmallMachine::kUserData);
    EXPECT_EQ(m.peek(SmallMachine::kKernelStack - 16), SmallMachine::kUserStack);
    ASSERT_EQ(m.execute(kRetfq), Outcome::kJumped);
    EXPECT_EQ(m.p.cpl, 3);
    EXPECT_EQ(m.p.rip, SmallMachine::kCode + 2);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kUserStack);
}

TEST_F(LongModeTransfer, ACallGateWhoseUpperHalfLooksLikeASegmentIsRefused) {
    m.poke(SmallMachine::kGdt + 0x18, 0x0012'EC00'0008'3456);
    point_to(0x18, 0);
    EXPECT_EQ(m.fault_of(kCallFarRbx), FaultOf(13, 0x18)); // the descriptor at 20h is code
}

TEST_F(LongModeTransfer, RetfToAnOuterRing) {
    push({SmallMachine::kUserData, SmallMachine::kUserStack, SmallMachine::kUserCode64, kTarget});
    ASSERT_EQ(m.execute(kRetfq), Outcome::kJumped);
    EXPECT_EQ(m.p.cpl, 3);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kUserStack);
    EXPECT_TRUE(m.p.segment(SegmentName::kDs).unusable);
}

TEST_F(LongModeTransfer, RetfDropsParametersFromBothStacks) {
    push({SmallMachine::kUserData, SmallMachine::kUserStack, 0, 0, SmallMachine::kUserCode64, kTarget});
    ASSERT_EQ(m.execute({0x48, 0xCA, 0x10, 0x00}), Outcome::kJumped); // retfq 16
    EXPECT_EQ(m.p.cpl, 3);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kUserStack + 16);
}

TEST_F(LongModeTransfer, AStackThatIsNotThereIsAPageFault) {
    m.p.gpr(Gpr::kRsp) = 0x4000'0000;
    EXPECT_EQ(m.execute(kIretq), Outcome::kFault);
    EXPECT_EQ(m.p.fault->exception, Exception::kPageFault);
    EXPECT_EQ(m.p.fault->address, 0x4000'0000u);
}

TEST(ProtectedModeTransfer, ACallGateCopiesItsParameters) {
    SmallMachine m;
    m.set_up_protected_mode(true);
    m.p.gpr(Gpr::kRbx) = kPointer;
    m.poke(SmallMachine::kGdt + 0x40, 0x0012'EC02'0018'3456); // two parameters, DPL 3, to kCode32
    m.poke<std::uint32_t>(kPointer, 0);
    m.poke<std::uint16_t>(kPointer + 4, 0x43);
    m.poke<std::uint32_t>(SmallMachine::kUserStack, 0xAAAA);
    m.poke<std::uint32_t>(SmallMachine::kUserStack + 4, 0xBBBB);
    ASSERT_EQ(m.execute(kCallFarRbx), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, kTarget);
    EXPECT_EQ(m.p.cpl, 0);
    const std::uint64_t esp = m.p.gpr(Gpr::kRsp);
    EXPECT_EQ(esp, SmallMachine::kKernelStack - 24);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 4), SmallMachine::kUserCode32);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 8), 0xAAAAu);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 12), 0xBBBBu);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 16), SmallMachine::kUserStack);
}

TEST(ProtectedModeTransfer, IretdOfTheSamePrivilegeLeavesTheStackSegment) {
    SmallMachine m;
    m.set_up_protected_mode();
    m.p.gpr(Gpr::kRsp) -= 12;
    m.poke<std::uint32_t>(SmallMachine::kStack - 12, kTarget);
    m.poke<std::uint32_t>(SmallMachine::kStack - 8, SmallMachine::kCode32);
    m.poke<std::uint32_t>(SmallMachine::kStack - 4, rflags::ID | rflags::AC);
    ASSERT_EQ(m.execute(kIretd), Outcome::kJumped);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack);
    EXPECT_EQ(m.p.rflags(), rflags::FIXED | rflags::ID | rflags::AC);
}

TEST(ProtectedModeTransfer, Virtual8086ModeIsRefused) {
    SmallMachine m;
    m.set_up_protected_mode();
    m.p.gpr(Gpr::kRsp) -= 12;
    m.poke<std::uint32_t>(SmallMachine::kStack - 8, SmallMachine::kCode32);
    m.poke<std::uint32_t>(SmallMachine::kStack - 4, rflags::VM);
    EXPECT_EQ(m.fault_of(kIretd), FaultOf(13, 0));
}

TEST(RealModeTransfer, FarJumpCallReturnAndIretMoveTheSegment) {
    SmallMachine m;
    m.p.segment(SegmentName::kCs).base = 0;
    m.p.segment(SegmentName::kCs).selector = 0;
    m.p.rip = 0x7C00;
    m.p.gpr(Gpr::kRsp) = 0x7000;
    update_mode(m.p);
    ASSERT_EQ(m.execute({0x9A, 0x34, 0x12, 0x00, 0x10}), Outcome::kJumped); // call 1000:1234
    EXPECT_EQ(m.p.segment(SegmentName::kCs).base, 0x1'0000u);
    EXPECT_EQ(m.p.rip, 0x1234u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), 0x6FFCu);
    ASSERT_EQ(m.execute(kRetf), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, 0x7C05u);
    EXPECT_EQ(m.p.segment(SegmentName::kCs).base, 0u);
    m.poke<std::uint16_t>(0x7000, 0x5678);
    m.poke<std::uint16_t>(0x7002, 0x2000);
    m.poke<std::uint16_t>(0x7004, 0x3203);
    ASSERT_EQ(m.execute({0xCF}), Outcome::kJumped);
    EXPECT_EQ(m.p.rip, 0x5678u);
    EXPECT_EQ(m.p.rflags(), 0x3203u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), 0x7006u);
}

} // namespace
} // namespace touka::cpu::interpreter
