#include "platform/interrupt/pic_pair.hpp"

#include <gtest/gtest.h>

#include "platform/recording_line.hpp"

namespace touka::platform {
namespace {

class PicPairTest : public testing::Test {
protected:
    PicPairTest() { initialize(0x01); }
    void initialize(std::uint8_t icw4) {
        for (const bool slave : {false, true}) {
            IoHandler& ports = slave ? pic.slave_ports() : pic.master_ports();
            ports.write(0, 1, 0x11);
            ports.write(1, 1, slave ? 0x28 : 0x20);
            ports.write(1, 1, slave ? 0x02 : 0x04);
            ports.write(1, 1, icw4);
        }
    }
    void master(std::uint8_t command) { pic.master_ports().write(0, 1, command); }
    void slave(std::uint8_t command) { pic.slave_ports().write(0, 1, command); }
    void pulse(unsigned irq) {
        pic.set_irq(irq, true);
        pic.set_irq(irq, false);
    }
    std::uint8_t master_isr() {
        master(0x0B);
        return static_cast<std::uint8_t>(pic.master_ports().read(0, 1));
    }
    std::uint8_t master_irr() {
        master(0x0A);
        return static_cast<std::uint8_t>(pic.master_ports().read(0, 1));
    }

    RecordingLine output;
    PicPair pic{output};
};

constexpr std::uint8_t kEoi = 0x20;

TEST_F(PicPairTest, ServesTheMostImportantInputAndNamesItsVector) {
    pulse(4);
    pulse(1);
    EXPECT_TRUE(output.asserted());
    EXPECT_EQ(pic.acknowledge(), 0x21);
    EXPECT_FALSE(output.asserted()) << "input 4 is less important than 1 in service";
    master(kEoi);
    EXPECT_TRUE(output.asserted());
    EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(PicPairTest, AMoreImportantInputInterruptsTheOneInService) {
    pulse(5);
    ASSERT_EQ(pic.acknowledge(), 0x25);
    pulse(0);
    EXPECT_EQ(pic.acknowledge(), 0x20);
    EXPECT_EQ(master_isr(), 0x21);
    master(kEoi);
    EXPECT_EQ(master_isr(), 0x20);
}

TEST_F(PicPairTest, TheSlaveComesThroughInputTwoOfTheMaster) {
    pulse(8);
    EXPECT_EQ(pic.acknowledge(), 0x28);
    EXPECT_EQ(master_isr(), 0x04);
    pulse(3);
    EXPECT_FALSE(output.asserted()) << "the cascade is more important than input 3";
    pulse(1);
    EXPECT_EQ(pic.acknowledge(), 0x21);
    master(kEoi);
    slave(kEoi);
    master(kEoi);
    EXPECT_EQ(pic.acknowledge(), 0x23);
}

TEST_F(PicPairTest, TheSlavesSecondInterruptFollowsTheFirst) {
    pulse(12);
    pulse(14);
    ASSERT_EQ(pic.acknowledge(), 0x2C);
    slave(kEoi);
    master(kEoi);
    EXPECT_EQ(pic.acknowledge(), 0x2E);
}

TEST_F(PicPairTest, MaskedInputsWaitInIrr) {
    pic.master_ports().write(1, 1, 0x10);
    pulse(4);
    EXPECT_FALSE(output.asserted());
    EXPECT_EQ(master_irr(), 0x10);
    EXPECT_EQ(pic.master_ports().read(1, 1), 0x10u);
    pic.master_ports().write(1, 1, 0x00);
    EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(PicPairTest, ALevelInputFollowsItsWireAndComesAgainAfterEoi) {
    pic.elcr_ports().write(1, 1, 0x02); // input 9
    EXPECT_EQ(pic.elcr_ports().read(1, 1), 0x02u);
    pic.set_irq(9, true);
    ASSERT_EQ(pic.acknowledge(), 0x29);
    slave(kEoi);
    master(kEoi);
    EXPECT_EQ(pic.acknowledge(), 0x29);
    pic.set_irq(9, false);
    slave(kEoi);
    master(kEoi);
    EXPECT_FALSE(output.asserted());
}

TEST_F(PicPairTest, TimerKeyboardCascadeClockAndCoprocessorStayEdgeTriggered) {
    pic.elcr_ports().write(0, 2, 0xFFFF);
    EXPECT_EQ(pic.elcr_ports().read(0, 2), 0xDEF8u);
}

TEST_F(PicPairTest, AVanishedRequestGivesTheSpuriousVectorWithoutService) {
    EXPECT_EQ(pic.acknowledge(), 0x27);
    EXPECT_EQ(master_isr(), 0x00);
    pic.elcr_ports().write(1, 1, 0x02);
    pic.set_irq(9, true);
    pic.slave_ports().write(1, 1, 0xFF);
    EXPECT_FALSE(output.asserted());
}

TEST_F(PicPairTest, ASpecificEoiEndsTheInputThatItNames) {
    pulse(5);
    ASSERT_EQ(pic.acknowledge(), 0x25);
    pulse(1);
    ASSERT_EQ(pic.acknowledge(), 0x21);
    master(0x65);
    EXPECT_EQ(master_isr(), 0x02);
}

TEST_F(PicPairTest, RotationMakesTheServedInputTheLeastImportant) {
    pulse(1);
    ASSERT_EQ(pic.acknowledge(), 0x21);
    master(0xA0); // rotate on non-specific EOI
    pulse(1);
    pulse(2 + 5); // 7
    pulse(0);
    EXPECT_EQ(pic.acknowledge(), 0x27);
    master(kEoi);
    EXPECT_EQ(pic.acknowledge(), 0x20);
    master(kEoi);
    EXPECT_EQ(pic.acknowledge(), 0x21);
}

TEST_F(PicPairTest, SetPriorityNamesTheLowest) {
    master(0xC4); // lowest: 4, so 5 is highest
    pulse(0);
    pulse(6);
    EXPECT_EQ(pic.acknowledge(), 0x26);
}

TEST_F(PicPairTest, AutomaticEoiLeavesNothingInServiceAndCanRotate) {
    initialize(0x03);
    pulse(3);
    ASSERT_EQ(pic.acknowledge(), 0x23);
    EXPECT_EQ(master_isr(), 0x00);
    master(0x80); // rotate in automatic EOI mode
    pulse(0);
    ASSERT_EQ(pic.acknowledge(), 0x20);
    pulse(0);
    pulse(7);
    EXPECT_EQ(pic.acknowledge(), 0x27);
    EXPECT_EQ(pic.acknowledge(), 0x20);
}

TEST_F(PicPairTest, SpecialMaskModeLetsLessImportantInputsThrough) {
    pulse(1);
    ASSERT_EQ(pic.acknowledge(), 0x21);
    pulse(6);
    EXPECT_FALSE(output.asserted());
    pic.master_ports().write(1, 1, 0x02);
    master(0x68);
    EXPECT_EQ(pic.acknowledge(), 0x26);
    master(kEoi);
    EXPECT_EQ(master_isr(), 0x02) << "the masked one is not what ended";
    master(0x48);
    EXPECT_FALSE(output.asserted());
}

TEST_F(PicPairTest, SpecialFullyNestedModeLetsTheSlaveInterruptItself) {
    initialize(0x11);
    pulse(12);
    ASSERT_EQ(pic.acknowledge(), 0x2C);
    pulse(8);
    EXPECT_EQ(pic.acknowledge(), 0x28);
}

TEST_F(PicPairTest, PollingAcknowledgesAndNamesTheInput) {
    pulse(6);
    master(0x0C);
    EXPECT_EQ(pic.master_ports().read(0, 1), 0x86u);
    EXPECT_EQ(master_isr(), 0x40);
    EXPECT_FALSE(output.asserted());
    master(0x0C);
    EXPECT_EQ(pic.master_ports().read(0, 1), 0x00u);
}

TEST_F(PicPairTest, InitializationForgetsMasksAndLatchedEdges) {
    pic.master_ports().write(1, 1, 0xFF);
    pulse(3);
    master(0x11);
    EXPECT_FALSE(output.asserted()) << "no interrupt while it waits for its words";
    pic.master_ports().write(1, 1, 0x40);
    pic.master_ports().write(1, 1, 0x04);
    pic.master_ports().write(1, 1, 0x01);
    EXPECT_EQ(pic.master_ports().read(1, 1), 0x00u);
    EXPECT_FALSE(output.asserted());
    pulse(3);
    EXPECT_EQ(pic.acknowledge(), 0x43);
}

TEST_F(PicPairTest, AfterResetAllInputsAreMasked) {
    pic.reset();
    for (unsigned irq = 0; irq < 16; ++irq) pulse(irq);
    EXPECT_FALSE(output.asserted());
    EXPECT_EQ(pic.master_ports().read(1, 1), 0xFFu);
    EXPECT_EQ(pic.slave_ports().read(1, 1), 0xFFu);
}

TEST_F(PicPairTest, SavedStateComesBackWithRequestsAndService) {
    pulse(5);
    ASSERT_EQ(pic.acknowledge(), 0x25);
    pulse(12);
    pulse(6);
    master(0xC2);
    const auto record = pic.save();
    RecordingLine other_output;
    PicPair other{other_output};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_EQ(other_output.asserted(), output.asserted());
    other.master_ports().write(0, 1, kEoi);
    master(kEoi);
    EXPECT_EQ(other.acknowledge(), pic.acknowledge());
}

TEST_F(PicPairTest, HostileStateIsCutToSize) {
    cpu::PicPairState state;
    state.master.lowest_priority = 0xFF;
    state.master.vector_base = 0xFF;
    state.master.initialization_step = 0xFF;
    state.slave.elcr = 0xFF;
    ASSERT_TRUE(pic.restore(migration::save_record("pic", state)));
    for (unsigned irq = 0; irq < 16; ++irq) pulse(irq);
    static_cast<void>(pic.acknowledge());
    EXPECT_EQ(pic.elcr_ports().read(1, 1), 0xDEu);
}

} // namespace
} // namespace touka::platform
