#include "cpu/interpreter/segmentation.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/io_permission.hpp"
#include "cpu/interpreter/processor_fixture.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;
using FaultOf = std::pair<unsigned, std::uint32_t>;
constexpr FaultOf kNone{255, 0}, kProtection{13, 0}, kUndefined{6, 0};

class Segmentation : public testing::Test {
protected:
    Segmentation() { m.set_up_long_mode(); }
    FaultOf fault_with(std::uint64_t rax, std::initializer_list<std::uint8_t> bytes) {
        m.p.gpr(Gpr::kRax) = rax;
        return m.fault_of(bytes);
    }
    [[nodiscard]] bool zf() const { return (m.p.regs.status.packed & StatusFlags::kZF) != 0; }
    static constexpr std::initializer_list<std::uint8_t> kToDs{0x8E, 0xD8}, kToSs{0x8E, 0xD0}, kToFs{0x8E, 0xE0},
        kLldt{0x0F, 0x00, 0xD0}, kLtr{0x0F, 0x00, 0xD8}, kLar{0x0F, 0x02, 0xD8}, kLsl{0x0F, 0x03, 0xD8},
        kVerr{0x0F, 0x00, 0xE0}, kVerw{0x0F, 0x00, 0xE8};
    SmallMachine m;
};

TEST_F(Segmentation, DataSegmentsAreLoadedWithTheirHiddenPart) {
    EXPECT_EQ(fault_with(SmallMachine::kUserData, kToDs), kNone);
    EXPECT_EQ(m.p.segment(SegmentName::kDs), m.segment_of(SmallMachine::kUserData));
    EXPECT_FALSE(m.p.interrupt_shadow);
}

TEST_F(Segmentation, LoadingSetsTheAccessedBitInMemory) {
    m.poke(SmallMachine::kGdt + SmallMachine::kData, 0x00CF'9200'0000'FFFF);
    EXPECT_EQ(fault_with(SmallMachine::kData, kToDs), kNone);
    EXPECT_EQ(m.peek(SmallMachine::kGdt + SmallMachine::kData), 0x00CF'9300'0000'FFFFu);
}

TEST_F(Segmentation, DataSegmentLoadsAreChecked) {
    EXPECT_EQ(fault_with(0x1000, kToDs), FaultOf(13, 0x1000));
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kToDs), FaultOf(13, SmallMachine::kTssSelector));
    EXPECT_EQ(fault_with(SmallMachine::kData | 3, kToDs), FaultOf(13, SmallMachine::kData)); // RPL above DPL
    m.poke(SmallMachine::kGdt + SmallMachine::kData, 0x00CF'1300'0000'FFFF);
    EXPECT_EQ(fault_with(SmallMachine::kData, kToDs), FaultOf(11, SmallMachine::kData));
    EXPECT_EQ(fault_with(0x14, kToDs), FaultOf(13, 0x14)); // no LDT
}

TEST_F(Segmentation, NullSelectorsMakeUnusableSegmentsWithBase0) {
    m.p.segment(SegmentName::kFs).base = 0x1234;
    EXPECT_EQ(fault_with(3, kToFs), kNone);
    EXPECT_TRUE(m.p.segment(SegmentName::kFs).unusable);
    EXPECT_EQ(m.p.segment(SegmentName::kFs).selector, 3);
    EXPECT_EQ(m.p.segment(SegmentName::kFs).base, 0u);
}

TEST_F(Segmentation, SsIsCheckedMoreAndHoldsInterruptsOff) {
    EXPECT_EQ(fault_with(0, kToSs), kNone); // 64-bit code below CPL 3
    EXPECT_TRUE(m.p.interrupt_shadow);
    EXPECT_EQ(m.p.cpl, 0);
    EXPECT_EQ(fault_with(SmallMachine::kCode64, kToSs), FaultOf(13, SmallMachine::kCode64));
    EXPECT_EQ(fault_with(SmallMachine::kUserData, kToSs), FaultOf(13, SmallMachine::kUserData & ~3u));
    m.poke(SmallMachine::kGdt + SmallMachine::kData, 0x00CF'1300'0000'FFFF);
    EXPECT_EQ(fault_with(SmallMachine::kData, kToSs), FaultOf(12, SmallMachine::kData));
    m.set_up_long_mode(true);
    EXPECT_EQ(fault_with(3, kToSs), kProtection);
}

TEST_F(Segmentation, PushAndPopOfSegmentsMoveTheStackPointer) {
    m.p.segment(SegmentName::kFs).selector = 0x1234;
    EXPECT_EQ(m.fault_of({0x0F, 0xA0}), kNone); // push fs
    EXPECT_EQ(m.peek(SmallMachine::kStack - 8), 0x1234u);
    m.poke(SmallMachine::kStack - 8, std::uint64_t{SmallMachine::kUserData});
    EXPECT_EQ(m.fault_of({0x0F, 0xA9}), kNone); // pop gs
    EXPECT_EQ(m.p.segment(SegmentName::kGs).selector, SmallMachine::kUserData);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack);
}

TEST_F(Segmentation, LtrMarksTheTssBusyAndRefusesABusyOne) {
    m.poke(SmallMachine::kGdt + SmallMachine::kTssSelector + 8, std::uint64_t{0xFFFF'8000});
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kLtr), kNone);
    EXPECT_EQ(m.p.tr.base, 0xFFFF'8000'0000'7000u);
    EXPECT_EQ(m.peek(SmallMachine::kGdt + SmallMachine::kTssSelector) >> 40 & 0xFF, 0x8Bu);
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kLtr), FaultOf(13, SmallMachine::kTssSelector));
    EXPECT_EQ(fault_with(0, kLtr), kProtection);
}

TEST_F(Segmentation, ANullLdtMakesItsSelectorsFault) {
    EXPECT_EQ(fault_with(0, kLldt), kNone);
    EXPECT_TRUE(m.p.ldtr.unusable);
    EXPECT_EQ(fault_with(0x0C, kToDs), FaultOf(13, 0x0C));
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kLldt), FaultOf(13, SmallMachine::kTssSelector));
}

TEST_F(Segmentation, SelectorsOfTheLdtAreFoundThere) {
    m.poke(SmallMachine::kGdt + SmallMachine::kTssSelector, 0x0000'8200'A000'000F);
    m.poke(0xA008, 0x00CF'9300'0000'FFFF);
    ASSERT_EQ(fault_with(SmallMachine::kTssSelector, kLldt), kNone);
    EXPECT_EQ(fault_with(0x0C, kToDs), kNone);
    EXPECT_EQ(m.p.segment(SegmentName::kDs).limit, 0xFFFF'FFFFu);
    EXPECT_EQ(fault_with(0x14, kToDs), FaultOf(13, 0x14));
}

TEST_F(Segmentation, TablesAreLoadedAndStored) {
    m.p.gpr(Gpr::kRbx) = 0x9000;
    m.poke<std::uint16_t>(0x9000, 0x123);
    m.poke(0x9002, std::uint64_t{0xFFFF'8000'1234'5678});
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0x1B}), kNone); // lidt [rbx]
    EXPECT_EQ(m.p.idtr, (TableRegister{0x123, 0xFFFF'8000'1234'5678}));
    m.poke(0x9002, std::uint64_t{0x8000'0000'0000});
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0x13}), kProtection); // lgdt [rbx]
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0x0B}), kNone);       // sidt [rbx]
    EXPECT_EQ(m.peek<std::uint16_t>(0x9000), 0x123);
    EXPECT_EQ(m.peek(0x9002), 0xFFFF'8000'1234'5678u);
    m.set_up_long_mode(true);
    m.p.gpr(Gpr::kRbx) = 0x9000;
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0x03}), kNone); // sgdt [rbx]
    m.p.cr4 |= cr4::UMIP;
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0x03}), kProtection);
    EXPECT_EQ(m.fault_of({0x0F, 0x00, 0xC8}), kProtection); // str eax
}

TEST_F(Segmentation, LarAndLslAnswerByZeroFlag) {
    EXPECT_EQ(fault_with(SmallMachine::kUserData, kLar), kNone);
    EXPECT_TRUE(zf());
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 0x00CF'F300u);
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kLsl), kNone);
    EXPECT_TRUE(zf());
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 0x67u);
    for (const std::uint64_t selector : {0x0u, 0x1000u, 0x14u, SmallMachine::kData | 3u}) {
        EXPECT_EQ(fault_with(selector, kLar), kNone);
        EXPECT_FALSE(zf()) << selector;
    }
    EXPECT_EQ(m.p.gpr(Gpr::kRbx), 0x67u);
}

TEST_F(Segmentation, VerrAndVerwTellReadableFromWritable) {
    EXPECT_EQ(fault_with(SmallMachine::kCode64, kVerr), kNone);
    EXPECT_TRUE(zf());
    EXPECT_EQ(fault_with(SmallMachine::kCode64, kVerw), kNone);
    EXPECT_FALSE(zf());
    EXPECT_EQ(fault_with(SmallMachine::kData, kVerw), kNone);
    EXPECT_TRUE(zf());
    EXPECT_EQ(fault_with(SmallMachine::kTssSelector, kVerr), kNone);
    EXPECT_FALSE(zf());
}

TEST_F(Segmentation, FsgsbaseInstructionsNeedTheirBitAndCanonicalValues) {
    const std::initializer_list<std::uint8_t> wrgsbase{0xF3, 0x48, 0x0F, 0xAE, 0xD8}, rdfsbase{0xF3, 0x0F, 0xAE, 0xC0};
    EXPECT_EQ(fault_with(0, wrgsbase), kUndefined);
    m.p.cr4 |= cr4::FSGSBASE;
    EXPECT_EQ(fault_with(0xFFFF'8000'0000'0010, wrgsbase), kNone);
    EXPECT_EQ(m.p.segment(SegmentName::kGs).base, 0xFFFF'8000'0000'0010u);
    EXPECT_EQ(fault_with(0x8000'0000'0000, wrgsbase), kProtection);
    m.p.segment(SegmentName::kFs).base = 0xFFFF'8000'0000'0020;
    EXPECT_EQ(m.fault_of(rdfsbase), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x20u);
}

TEST_F(Segmentation, ArplRaisesTheRequestedPrivilege) {
    m.set_up_protected_mode();
    m.p.gpr(Gpr::kRbx) = 3;
    EXPECT_EQ(fault_with(0x10, {0x63, 0xD8}), kNone);
    EXPECT_EQ(m.p.gpr(Gpr::kRax), 0x13u);
    EXPECT_TRUE(zf());
    EXPECT_EQ(m.fault_of({0x63, 0xD8}), kNone);
    EXPECT_FALSE(zf());
}

TEST_F(Segmentation, StacAndClacChangeWhatSupervisorsMayTouch) {
    m.p.cr4 |= cr4::SMAP;
    flush_tlb(m.p);
    std::uint32_t value = 0;
    // The instruction bytes lie in user pages too, but are only placed, never fetched, here.
    EXPECT_FALSE(read_linear(m.p, 0x9000, value));
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0xCB}), kNone); // stac
    EXPECT_TRUE(read_linear(m.p, 0x9000, value));
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0xCA}), kNone); // clac
    EXPECT_FALSE(read_linear(m.p, 0x9000, value));
    m.set_up_long_mode(true);
    EXPECT_EQ(m.fault_of({0x0F, 0x01, 0xCB}), kUndefined);
}

class IoPermission : public testing::Test {
protected:
    IoPermission() {
        m.set_up_long_mode(true);
        m.poke<std::uint16_t>(SmallMachine::kTss + 0x66, 0x68);
        m.p.tr.limit = 0x68 + 0x20; // ports 0 to FFh and the byte behind
        for (unsigned n = 0; n < 0x21; ++n) m.poke<std::uint8_t>(SmallMachine::kTss + 0x68 + n, 0xFF);
        m.poke<std::uint8_t>(SmallMachine::kTss + 0x68 + 0x10, 0x7F); // port 87h
        m.poke<std::uint8_t>(SmallMachine::kTss + 0x68 + 0x11, 0xFE); // port 88h
    }
    SmallMachine m;
};

TEST_F(IoPermission, FollowsTheBitmapOfTheTss) {
    EXPECT_TRUE(port_allowed(m.p, 0x87, 1));
    EXPECT_TRUE(port_allowed(m.p, 0x87, 2));
    EXPECT_TRUE(port_allowed(m.p, 0x88, 1));
    EXPECT_FALSE(port_allowed(m.p, 0x88, 2));
    EXPECT_FALSE(port_allowed(m.p, 0x86, 4));
    EXPECT_EQ(m.p.fault->exception, Exception::kGeneralProtection);
    EXPECT_FALSE(port_allowed(m.p, 0x100, 1)); // beyond the limit
    EXPECT_FALSE(port_allowed(m.p, 0xFFFF, 4));
}

TEST_F(IoPermission, IsNotAskedBelowIopl) {
    m.p.system_flags |= rflags::IOPL;
    EXPECT_TRUE(port_allowed(m.p, 0x1234, 4));
    m.p.system_flags &= ~rflags::IOPL;
    EXPECT_FALSE(port_allowed(m.p, 0x1234, 4));
    m.set_segments(SmallMachine::kCode64, SmallMachine::kData);
    EXPECT_TRUE(port_allowed(m.p, 0x1234, 4));
}

} // namespace
} // namespace touka::cpu::interpreter
