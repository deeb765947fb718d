#include "cpu/interpreter/delivery.hpp"

#include <gtest/gtest.h>

#include "cpu/interpreter/processor_fixture.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint64_t kSavedFlags = rflags::FIXED | rflags::IF | rflags::CF;

/// A frame of long mode, read upwards from RSP, the error code taken off first where there is one.
struct Frame {
    std::uint64_t error_code = 0, rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;
};
[[nodiscard]] Frame frame_at(const SmallMachine& m, std::uint64_t rsp, bool with_error_code) {
    Frame frame;
    if (with_error_code) frame.error_code = m.peek(rsp);
    if (with_error_code) rsp += 8;
    frame.rip = m.peek(rsp);
    frame.cs = m.peek(rsp + 8);
    frame.rflags = m.peek(rsp + 16);
    frame.rsp = m.peek(rsp + 24);
    frame.ss = m.peek(rsp + 32);
    return frame;
}

class LongModeDelivery : public testing::Test {
protected:
    LongModeDelivery() { set_up(false); }
    void set_up(bool user) {
        m.set_up_long_mode(user);
        m.p.set_rflags(kSavedFlags);
    }
    [[nodiscard]] Frame frame(bool with_error_code) { return frame_at(m, m.p.gpr(Gpr::kRsp), with_error_code); }
    [[nodiscard]] bool handled_by(unsigned vector) const { return m.p.rip == SmallMachine::handler(vector); }

    SmallMachine m;
};

TEST_F(LongModeDelivery, EveryExceptionPushesItsOwnFrame) {
    for (const unsigned vector : {0u, 1u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 11u, 12u, 13u, 14u, 16u, 17u, 18u, 19u}) {
        set_up(false);
        const auto exception = static_cast<Exception>(vector);
        m.p.gpr(Gpr::kRsp) = SmallMachine::kStack - 3; // the frame is aligned all the same
        deliver_exception(m.p, {.exception = exception, .error_code = 0x18});
        EXPECT_TRUE(handled_by(vector)) << vector;
        const bool with_code = has_error_code(exception);
        EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack - 16 - (with_code ? 48 : 40)) << vector;
        const Frame f = frame(with_code);
        EXPECT_EQ(f.error_code, with_code ? 0x18u : 0u) << vector;
        EXPECT_EQ(f.rip, SmallMachine::kCode) << vector;
        EXPECT_EQ(f.cs, SmallMachine::kCode64) << vector;
        EXPECT_EQ(f.rflags, kSavedFlags | (exception == Exception::kDebug ? 0 : rflags::RF)) << vector;
        EXPECT_EQ(f.rsp, SmallMachine::kStack - 3) << vector;
        EXPECT_EQ(f.ss, SmallMachine::kData) << vector;
        EXPECT_EQ(m.p.rflags(), kSavedFlags & ~rflags::IF) << vector;
        EXPECT_FALSE(m.p.fault);
    }
}

TEST_F(LongModeDelivery, APageFaultWritesCr2AndOthersDoNot) {
    deliver_exception(m.p, {.exception = Exception::kPageFault, .error_code = 2, .address = 0x1234'5678});
    EXPECT_EQ(m.p.cr2, 0x1234'5678u);
    deliver_exception(m.p, {.exception = Exception::kGeneralProtection, .address = 0x9999});
    EXPECT_EQ(m.p.cr2, 0x1234'5678u);
}

TEST_F(LongModeDelivery, ADebugExceptionWritesDr6AndClearsGeneralDetect) {
    m.p.dr[7] |= dr7::GD;
    m.p.dr[6] = dr6::kFixed | dr6::B0;
    deliver_exception(m.p, {.exception = Exception::kDebug, .address = dr6::BS});
    EXPECT_EQ(m.p.dr[6], dr6::kFixed | dr6::B0 | dr6::BS);
    EXPECT_EQ(m.p.dr[7] & dr7::GD, 0u);
}

TEST_F(LongModeDelivery, UserCodeSwitchesToTheStackOfRing0) {
    set_up(true);
    deliver_exception(m.p, {.exception = Exception::kGeneralProtection});
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kKernelStack - 48);
    EXPECT_EQ(m.p.cpl, 0);
    EXPECT_EQ(m.p.segment(SegmentName::kSs).selector, 0);
    EXPECT_EQ(m.p.segment(SegmentName::kCs).selector, SmallMachine::kCode64);
    const Frame f = frame(true);
    EXPECT_EQ(f.cs, SmallMachine::kUserCode64);
    EXPECT_EQ(f.ss, SmallMachine::kUserData);
    EXPECT_EQ(f.rsp, SmallMachine::kUserStack);
}

TEST_F(LongModeDelivery, AnInterruptStackIsTakenWithoutAPrivilegeChangeToo) {
    m.set_gate(14, SmallMachine::kCode64, 0x8E01, SmallMachine::handler(14));
    deliver_exception(m.p, {.exception = Exception::kPageFault});
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kInterruptStack - 48);
    EXPECT_EQ(m.p.segment(SegmentName::kSs).selector, SmallMachine::kData);
}

TEST_F(LongModeDelivery, ATrapGateLeavesInterruptsOn) {
    m.set_gate(6, SmallMachine::kCode64, 0x8F00, SmallMachine::handler(6));
    m.p.system_flags |= rflags::TF | rflags::NT;
    deliver_exception(m.p, {.exception = Exception::kInvalidOpcode});
    EXPECT_EQ(m.p.system_flags, rflags::FIXED | rflags::IF);
}

TEST_F(LongModeDelivery, AnExternalInterruptReturnsToTheNextInstructionWithoutRf) {
    m.p.interrupt_shadow = true;
    deliver_interrupt(m.p, 0x30, InterruptKind::kExternal);
    EXPECT_TRUE(handled_by(0x30));
    EXPECT_EQ(frame(false).rflags, kSavedFlags);
    EXPECT_FALSE(m.p.interrupt_shadow);
}

TEST_F(LongModeDelivery, AnNmiBlocksFurtherOnes) {
    deliver_interrupt(m.p, 2, InterruptKind::kNmi);
    EXPECT_TRUE(handled_by(2));
    EXPECT_TRUE(m.p.nmi_blocked);
    EXPECT_EQ(m.execute({0x48, 0xCF}), Outcome::kJumped); // iretq
    EXPECT_FALSE(m.p.nmi_blocked);
    EXPECT_EQ(m.p.rip, SmallMachine::kCode);
}

TEST_F(LongModeDelivery, ASoftwareInterruptReturnsBehindItself) {
    ASSERT_EQ(m.execute({0xCD, 0x80}), Outcome::kJumped);
    EXPECT_TRUE(handled_by(0x80));
    EXPECT_EQ(frame(false).rip, SmallMachine::kCode + 2);
    EXPECT_EQ(frame(false).rflags, kSavedFlags);
}

TEST_F(LongModeDelivery, UserSoftwareInterruptsNeedTheGatesPermission) {
    set_up(true);
    using Result = std::pair<unsigned, std::uint32_t>;
    EXPECT_EQ(m.fault_of({0xCD, 0x80}), Result(13, 0x80 * 8 | selector_error::IDT));
    EXPECT_EQ(m.fault_of({0xCC}), Result(13, 3 * 8 | selector_error::IDT));
    m.set_gate(0x80, SmallMachine::kCode64, 0xEE00, SmallMachine::handler(0x80));
    EXPECT_EQ(m.execute({0xCD, 0x80}), Outcome::kJumped);
    EXPECT_TRUE(handled_by(0x80));
    set_up(true);
    EXPECT_EQ(m.execute({0xF1}), Outcome::kJumped); // int1 asks nobody
    EXPECT_TRUE(handled_by(1));
}

TEST_F(LongModeDelivery, FaultsOfAnInterruptSayThatItsCauseWasExternal) {
    m.set_gate(0x30, SmallMachine::kCode64, 0x0E00, 0);
    deliver_interrupt(m.p, 0x30, InterruptKind::kExternal);
    EXPECT_TRUE(handled_by(11));
    EXPECT_EQ(frame(true).error_code, 0x30u * 8 | selector_error::IDT | selector_error::EXT);
}

TEST_F(LongModeDelivery, FaultsOfASoftwareInterruptDoNotSayExternal) {
    m.set_gate(0x80, SmallMachine::kAbsentCode, 0x8E00, 0);
    EXPECT_EQ(m.fault_of({0xCD, 0x80}), std::make_pair(11u, std::uint32_t{SmallMachine::kAbsentCode}));
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack);
}

TEST_F(LongModeDelivery, GatesToCodeThatIsNot64BitAreRefused) {
    m.set_gate(0x30, SmallMachine::kCode32, 0x8E00, 0);
    deliver_interrupt(m.p, 0x30, InterruptKind::kExternal);
    EXPECT_TRUE(handled_by(13));
    EXPECT_EQ(frame(true).error_code, SmallMachine::kCode32 | selector_error::EXT);
}

TEST_F(LongModeDelivery, TaskAnd16BitGatesDoNotExist) {
    for (const std::uint64_t type : {0x8500u, 0x8600u, 0x8700u, 0x8C00u}) {
        set_up(false);
        m.set_gate(0x30, SmallMachine::kCode64, type, 0);
        deliver_interrupt(m.p, 0x30, InterruptKind::kExternal);
        EXPECT_EQ(frame(true).error_code, 0x30u * 8 | selector_error::IDT | selector_error::EXT);
    }
}

TEST_F(LongModeDelivery, ABenignExceptionThatFaultsIsReplacedByTheFault) {
    m.set_gate(6, SmallMachine::kCode64, 0x0E00, 0);
    deliver_exception(m.p, {.exception = Exception::kInvalidOpcode});
    EXPECT_TRUE(handled_by(11));
}

TEST_F(LongModeDelivery, ContributoryPairsAndPageFaultsMakeDoubleFaults) {
    struct Case {
        Exception first;
        bool broken_by_page_fault;
        unsigned delivered;
    };
    for (const Case& c : {Case{Exception::kGeneralProtection, false, 8}, Case{Exception::kPageFault, false, 8},
                          Case{Exception::kPageFault, true, 8}, Case{Exception::kGeneralProtection, true, 14},
                          Case{Exception::kDivideError, false, 8}, Case{Exception::kAlignmentCheck, false, 11}}) {
        set_up(false);
        const auto vector = static_cast<unsigned>(c.first);
        const unsigned present = c.broken_by_page_fault ? 0x8000 : 0;
        // A page fault while delivering: the interrupt stack lies outside of what is mapped.
        m.poke(SmallMachine::kTss + 0x2C, std::uint64_t{0x4000'0000});
        m.set_gate(vector, SmallMachine::kCode64, present | 0x0E02, SmallMachine::handler(vector));
        if (c.first != Exception::kPageFault) m.set_gate(14, SmallMachine::kCode64, 0x8E00, SmallMachine::handler(14));
        deliver_exception(m.p, {.exception = c.first, .error_code = 0x55});
        EXPECT_TRUE(handled_by(c.delivered)) << vector << " " << c.broken_by_page_fault;
        EXPECT_EQ(c.delivered == 8 ? frame(true).error_code : 0, 0u);
    }
}

TEST_F(LongModeDelivery, AFaultOnTheWayToTheDoubleFaultHandlerShutsDown) {
    m.set_gate(8, SmallMachine::kCode64, 0x0E00, 0);
    m.set_gate(13, SmallMachine::kCode64, 0x0E00, 0);
    deliver_exception(m.p, {.exception = Exception::kGeneralProtection});
    EXPECT_TRUE(m.p.shutdown);
    EXPECT_EQ(m.p.rip, SmallMachine::kCode);
}

TEST_F(LongModeDelivery, AnEmptyIdtShutsDown) {
    m.p.idtr.limit = 0;
    ASSERT_EQ(m.execute({0xCC}), Outcome::kFault);
    deliver_exception(m.p, *m.p.fault);
    EXPECT_TRUE(m.p.shutdown);
}

TEST_F(LongModeDelivery, ANonCanonicalStackOfRing0IsADoubleFaultOfItsStackFault) {
    set_up(true);
    m.poke(SmallMachine::kTss + 4, std::uint64_t{0x8000'0000'0000});
    m.set_gate(8, SmallMachine::kCode64, 0x8E01, SmallMachine::handler(8));
    deliver_exception(m.p, {.exception = Exception::kPageFault});
    EXPECT_TRUE(handled_by(8));
}

TEST_F(LongModeDelivery, PendingEventsOfASavedStateAreDelivered) {
    m.p.pending_event = PendingEvent{PendingEvent::Kind::kException, 14, 2, 0xABC000};
    deliver_pending_event(m.p);
    EXPECT_TRUE(handled_by(14));
    EXPECT_EQ(m.p.cr2, 0xABC000u);
    EXPECT_FALSE(m.p.pending_event);
    m.p.pending_event = PendingEvent{PendingEvent::Kind::kExternalInterrupt, 0x40, std::nullopt, 0};
    deliver_pending_event(m.p);
    EXPECT_TRUE(handled_by(0x40));
}

TEST(ProtectedModeDelivery, PushesA32BitFrameOnTheInnerStack) {
    SmallMachine m;
    m.set_up_protected_mode(true);
    m.p.set_rflags(kSavedFlags);
    deliver_exception(m.p, {.exception = Exception::kGeneralProtection, .error_code = 0x1234});
    EXPECT_EQ(m.p.rip, SmallMachine::handler(13));
    EXPECT_EQ(m.p.segment(SegmentName::kSs).selector, SmallMachine::kData);
    const std::uint64_t esp = m.p.gpr(Gpr::kRsp);
    EXPECT_EQ(esp, SmallMachine::kKernelStack - 24);
    EXPECT_EQ(m.peek<std::uint32_t>(esp), 0x1234u);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 4), SmallMachine::kCode);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 8), SmallMachine::kUserCode32);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 12), kSavedFlags | rflags::RF);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 16), SmallMachine::kUserStack);
    EXPECT_EQ(m.peek<std::uint32_t>(esp + 20), SmallMachine::kUserData);
}

TEST(ProtectedModeDelivery, SixteenBitGatesPushWords) {
    SmallMachine m;
    m.set_up_protected_mode();
    m.poke(SmallMachine::kIdt + 0x30 * 8, 0x0000'8600'0018'1234);
    deliver_interrupt(m.p, 0x30, InterruptKind::kExternal);
    EXPECT_EQ(m.p.rip, 0x1234u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), SmallMachine::kStack - 6);
    EXPECT_EQ(m.peek<std::uint16_t>(SmallMachine::kStack - 4), SmallMachine::kCode32);
}

TEST(ProtectedModeDelivery, AWrongInnerStackSegmentIsAnInvalidTss) {
    SmallMachine m;
    m.set_up_protected_mode(true);
    m.poke<std::uint16_t>(SmallMachine::kTss + 8, SmallMachine::kUserData);
    EXPECT_EQ(m.execute({0xCC}), Outcome::kFault); // the gate's DPL is 0
    m.poke(SmallMachine::kIdt + 3 * 8, 0x0006'EE00'0018'0030);
    EXPECT_EQ(m.fault_of({0xCC}), std::make_pair(10u, std::uint32_t{SmallMachine::kUserData & ~3u}));
}

TEST(RealModeDelivery, UsesTheInterruptVectorTableAndPushesWords) {
    SmallMachine m;
    m.p.segment(SegmentName::kCs).base = 0x1'0000;
    m.p.segment(SegmentName::kCs).selector = 0x1000;
    m.p.gpr(Gpr::kRsp) = 0xABCD'0002; // SP wraps within its 64 KiB
    m.p.rip = 0x42;
    m.p.set_rflags(kSavedFlags);
    m.poke<std::uint32_t>(0x21 * 4, 0x2000'0010);
    deliver_interrupt(m.p, 0x21, InterruptKind::kExternal);
    EXPECT_EQ(m.p.rip, 0x10u);
    EXPECT_EQ(m.p.segment(SegmentName::kCs).base, 0x2'0000u);
    EXPECT_EQ(m.p.gpr(Gpr::kRsp), 0xABCD'FFFCu);
    EXPECT_EQ(m.peek<std::uint16_t>(0x0000), kSavedFlags);
    EXPECT_EQ(m.peek<std::uint16_t>(0xFFFE), 0x1000u);
    EXPECT_EQ(m.peek<std::uint16_t>(0xFFFC), 0x42u);
    EXPECT_EQ(m.p.system_flags & rflags::IF, 0u);
}

TEST(RealModeDelivery, AVectorBeyondTheTableShutsDownInTheEnd) {
    SmallMachine m;
    m.p.idtr.limit = 0x10;
    deliver_exception(m.p, {.exception = Exception::kInvalidOpcode});
    EXPECT_TRUE(m.p.shutdown);
}

} // namespace
} // namespace touka::cpu::interpreter
