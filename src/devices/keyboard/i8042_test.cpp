#include "devices/keyboard/i8042.hpp"

#include <gtest/gtest.h>

#include "platform/recording_line.hpp"

namespace touka::devices {
namespace {

class I8042Test : public testing::Test {
protected:
    void command(std::uint8_t value) { controller.command_port().write(0, 1, value); }
    void data(std::uint8_t value) { controller.data_port().write(0, 1, value); }
    std::uint8_t status() { return static_cast<std::uint8_t>(controller.command_port().read(0, 1)); }
    std::uint8_t answer() { return static_cast<std::uint8_t>(controller.data_port().read(0, 1)); }

    platform::RecordingLine irq1, irq12;
    unsigned resets = 0;
    I8042 controller{irq1, irq12, [this] { ++resets; }};
};

TEST_F(I8042Test, PassesItsSelfTest) {
    EXPECT_EQ(status() & 0x07, 0x00);
    command(0xAA);
    EXPECT_EQ(status() & 0x05, 0x05);
    EXPECT_EQ(answer(), 0x55);
    EXPECT_EQ(status() & 0x01, 0x00);
    command(0xAB);
    EXPECT_EQ(answer(), 0x00);
}

TEST_F(I8042Test, KeepsItsCommandByteAndMemory) {
    command(0x60);
    data(0x65);
    command(0x20);
    EXPECT_EQ(answer(), 0x65);
    command(0x7F);
    data(0x99);
    command(0x3F);
    EXPECT_EQ(answer(), 0x99);
    command(0xAD);
    command(0x20);
    EXPECT_EQ(answer(), 0x75);
    command(0xAE);
    command(0x20);
    EXPECT_EQ(answer(), 0x65);
}

TEST_F(I8042Test, AByteForTheMissingKeyboardTimesOutAtOnce) {
    command(0x60);
    data(0x01);
    data(0xF2); // identify
    EXPECT_EQ(status() & 0x61, 0x41);
    EXPECT_TRUE(irq1.asserted());
    EXPECT_EQ(answer(), 0xFE);
    EXPECT_FALSE(irq1.asserted());
    EXPECT_EQ(status() & 0x41, 0x00);
}

TEST_F(I8042Test, LinuxFindsNoAuxiliaryPort) {
    command(0xD3);
    data(0x5A);
    EXPECT_EQ(status() & 0x21, 0x01) << "the loopback comes out as the keyboard's";
    EXPECT_EQ(answer(), 0x5A);
    command(0xA9);
    EXPECT_EQ(answer(), 0x01) << "and the port's test fails";
    command(0x60);
    data(0x02);
    command(0xD4);
    data(0xFF);
    EXPECT_EQ(status() & 0x61, 0x61);
    EXPECT_TRUE(irq12.asserted());
    EXPECT_EQ(answer(), 0xFE);
}

TEST_F(I8042Test, PulsesTheResetLine) {
    command(0xFF); // pulses nothing
    EXPECT_EQ(resets, 0u);
    command(0xFE);
    EXPECT_EQ(resets, 1u);
    command(0xD1);
    data(0x02);
    EXPECT_EQ(resets, 2u);
    command(0xD1);
    data(0xDF);
    EXPECT_EQ(resets, 2u);
    command(0xD0);
    EXPECT_EQ(answer(), 0x03) << "A20 is open";
}

TEST_F(I8042Test, EveryCommandAndDataByteIsHarmless) {
    for (unsigned first = 0; first < 256; ++first)
        for (unsigned second = 0; second < 256; second += 5) {
            command(static_cast<std::uint8_t>(first));
            data(static_cast<std::uint8_t>(second));
            status();
            answer();
        }
    EXPECT_GT(resets, 0u);
}

TEST_F(I8042Test, SavedStateComesBack) {
    command(0x60);
    data(0x01);
    command(0xAA);
    command(0xD1); // waits for its byte
    const auto record = controller.save();
    platform::RecordingLine other_irq1, other_irq12;
    I8042 other{other_irq1, other_irq12, [] {}};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_TRUE(other_irq1.asserted());
    EXPECT_EQ(other.data_port().read(0, 1), 0x55u);
    other.reset();
    EXPECT_EQ(other.command_port().read(0, 1), 0x10u);
}

} // namespace
} // namespace touka::devices
