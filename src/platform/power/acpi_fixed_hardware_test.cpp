#include "platform/power/acpi_fixed_hardware.hpp"

#include <gtest/gtest.h>

#include "platform/power/reset_control.hpp"
#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

class AcpiFixedHardwareTest : public testing::Test {
protected:
    std::uint64_t read(std::uint64_t offset, unsigned width) { return pm.read(offset, width); }
    void write(std::uint64_t offset, unsigned width, std::uint64_t value) { pm.write(offset, width, value); }

    runtime::ManualTimers timers;
    RecordingLine sci;
    unsigned power_offs = 0;
    AcpiFixedHardware pm{sci, timers, PmTimer::Width::k24, [this] { ++power_offs; }};
};

TEST_F(AcpiFixedHardwareTest, ThePowerButtonIsAnSciUntilItsStatusIsCleared) {
    pm.press_power_button();
    EXPECT_EQ(read(0x00, 2), 0x0100u);
    EXPECT_FALSE(sci.asserted()) << "not enabled";
    write(0x02, 2, 0x0100);
    EXPECT_TRUE(sci.asserted());
    write(0x00, 2, 0x0020);
    EXPECT_TRUE(sci.asserted());
    write(0x00, 2, 0x0100);
    EXPECT_FALSE(sci.asserted());
    EXPECT_EQ(read(0x00, 4), 0x0100'0000u);
}

TEST_F(AcpiFixedHardwareTest, SoftOffNeedsSleepEnableAndTheTypeOfS5) {
    EXPECT_EQ(read(0x04, 2), 0x0001u) << "always in ACPI mode";
    write(0x04, 2, 0x1C01);
    EXPECT_EQ(power_offs, 0u);
    EXPECT_EQ(read(0x04, 2), 0x1C01u);
    write(0x04, 2, 0x2001);
    EXPECT_EQ(power_offs, 0u) << "S0";
    write(0x04, 2, 0x3C01);
    EXPECT_EQ(power_offs, 1u);
    EXPECT_EQ(read(0x04, 2), 0x1C01u) << "SLP_EN reads zero";
    write(0x05, 1, 0x3C);
    EXPECT_EQ(power_offs, 2u);
}

TEST_F(AcpiFixedHardwareTest, TheTimerRunsAt3579545HzIn24Bits) {
    timers.advance(1'000'000'000);
    EXPECT_EQ(read(0x08, 4), 3'579'545u);
    timers.advance(4'000'000'000);
    EXPECT_EQ(read(0x08, 4), 17'897'725u & 0xFF'FFFFu);
    EXPECT_EQ(read(0x0A, 1), (17'897'725u & 0xFF'FFFFu) >> 16);
    AcpiFixedHardware wide{sci, timers, PmTimer::Width::k32, [] {}};
    timers.advance(5'000'000'000);
    EXPECT_EQ(wide.read(0x08, 4), 17'897'725u);
}

TEST_F(AcpiFixedHardwareTest, TheTimersTopBitRaisesItsStatusAndSci) {
    write(0x02, 2, 0x0001);
    timers.advance(2'343'000'000);
    EXPECT_FALSE(sci.asserted());
    timers.advance(1'000'000); // 2^23 ticks are 2.3435 s
    EXPECT_TRUE(sci.asserted());
    write(0x00, 2, 0x0001);
    EXPECT_FALSE(sci.asserted());
    timers.advance(2'342'000'000);
    EXPECT_FALSE(sci.asserted());
    timers.advance(2'000'000);
    EXPECT_TRUE(sci.asserted());
}

TEST_F(AcpiFixedHardwareTest, TheTimersStatusIsThereForWhoPolls) {
    timers.advance(2'400'000'000);
    EXPECT_EQ(read(0x00, 2) & 1, 1u);
    EXPECT_FALSE(sci.asserted());
}

TEST_F(AcpiFixedHardwareTest, AGeneralPurposeEventIsAnSciWhenEnabled) {
    write(0x28, 1, 0x04);
    pm.raise_general_purpose_event(2);
    EXPECT_TRUE(sci.asserted());
    EXPECT_EQ(read(0x20, 1), 0x04u);
    write(0x20, 1, 0x04);
    EXPECT_FALSE(sci.asserted());
    pm.raise_general_purpose_event(63);
    EXPECT_EQ(read(0x27, 1), 0x80u);
    write(0x2F, 1, 0x80);
    EXPECT_TRUE(sci.asserted());
}

TEST_F(AcpiFixedHardwareTest, AccessesAnywhereAreHarmless) {
    for (std::uint64_t offset = 0; offset < 0x7C; ++offset)
        for (const unsigned width : {1u, 2u, 4u}) {
            write(offset, width, 0xC3C3'C3C3);
            read(offset, width);
        }
    EXPECT_EQ(power_offs, 0u);
    EXPECT_EQ(read(0x40, 4), 0u);
}

TEST_F(AcpiFixedHardwareTest, SavedStateComesBackWithSciAndTimer) {
    write(0x02, 2, 0x0100);
    write(0x28, 1, 0x04);
    pm.press_power_button();
    timers.advance(1'000'000);
    const auto record = pm.save();
    runtime::ManualTimers later;
    RecordingLine other_sci;
    AcpiFixedHardware other{other_sci, later, PmTimer::Width::k24, [] {}};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_TRUE(other_sci.asserted());
    later.advance(1'000'000);
    EXPECT_EQ(other.read(0x08, 4), 7'159u);
    other.reset();
    EXPECT_FALSE(other_sci.asserted());
    EXPECT_EQ(other.read(0x08, 4), 0u);
}

TEST(ResetControl, ResetsWhenRstCpuRises) {
    unsigned resets = 0;
    ResetControl control{[&] { ++resets; }};
    control.reset_control_port().write(0, 1, 0x02);
    EXPECT_EQ(resets, 0u);
    control.reset_control_port().write(0, 1, 0x06);
    EXPECT_EQ(resets, 1u);
    control.reset_control_port().write(0, 1, 0x0E);
    EXPECT_EQ(resets, 1u) << "it was set already";
    EXPECT_EQ(control.reset_control_port().read(0, 1), 0x0Eu);
    const auto record = control.save();
    control.reset();
    control.fast_a20_port().write(0, 1, 0x01);
    EXPECT_EQ(resets, 2u);
    EXPECT_EQ(control.fast_a20_port().read(0, 1), 0x02u);
    ASSERT_TRUE(control.restore(record));
    EXPECT_EQ(control.reset_control_port().read(0, 1), 0x0Eu);
}

} // namespace
} // namespace touka::platform
