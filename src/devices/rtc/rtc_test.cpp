#include "devices/rtc/rtc.hpp"

#include <gtest/gtest.h>

#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::devices {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
// 2023-11-14T22:13:20Z, a Tuesday
constexpr std::int64_t kStart = 1'700'000'000 * kSecond;

class RtcTest : public testing::Test {
protected:
    void write(std::uint8_t index, std::uint8_t value) {
        rtc.write(0, 1, index);
        rtc.write(1, 1, value);
    }
    std::uint8_t read(std::uint8_t index) {
        rtc.write(0, 1, index);
        return static_cast<std::uint8_t>(rtc.read(1, 1));
    }
    /// Else PF would be set in register C with the other flags, as on every PC.
    void silence_periods() { write(0x0A, 0x20); }
    using Face = std::array<std::uint8_t, 6>;
    /// Hours, minutes, seconds, day, month, year.
    Face face() { return {read(4), read(2), read(0), read(7), read(8), read(9)}; }

    runtime::ManualTimers timers;
    platform::RecordingLine irq8;
    std::int64_t utc = kStart;
    Rtc rtc{irq8, timers, [this] { return utc; }};
};

TEST_F(RtcTest, ShowsTheHostsTimeInBcd) {
    EXPECT_EQ(face(), (Face{0x22, 0x13, 0x20, 0x14, 0x11, 0x23}));
    EXPECT_EQ(read(0x32), 0x20);
    EXPECT_EQ(read(6), 3) << "Tuesday";
    EXPECT_EQ(read(0x0D), 0x80);
    timers.advance(46'400 * kSecond);
    EXPECT_EQ(face(), (Face{0x11, 0x06, 0x40, 0x15, 0x11, 0x23}));
}

TEST_F(RtcTest, ShowsBinaryAndTwelveHours) {
    write(0x0B, 0x04);
    EXPECT_EQ(read(4), 0x80 | 10);
    EXPECT_EQ(read(9), 23);
    timers.advance(2 * 3600 * kSecond);
    EXPECT_EQ(read(4), 12) << "midnight";
    timers.advance(12 * 3600 * kSecond);
    EXPECT_EQ(read(4), 0x80 | 12) << "noon";
}

TEST_F(RtcTest, UipRisesBeforeTheTimeChangesAndFallsWithIt) {
    timers.advance(kSecond - 244'001);
    EXPECT_EQ(read(0x0A), 0x26);
    timers.advance(1);
    EXPECT_EQ(read(0x0A), 0xA6);
    EXPECT_EQ(read(0), 0x20);
    timers.advance(243'999);
    EXPECT_EQ(read(0x0A), 0xA6);
    timers.advance(1);
    EXPECT_EQ(read(0x0A), 0x26);
    EXPECT_EQ(read(0), 0x21);
}

TEST_F(RtcTest, SetStopsTheClockAndTakesTheNewTimeAtItsEnd) {
    write(0x0B, 0x82);
    timers.advance(5 * kSecond);
    EXPECT_EQ(read(0), 0x20);
    EXPECT_EQ(read(0x0A), 0x26) << "no update while SET";
    const Face wanted{0x23, 0x59, 0x58, 0x28, 0x02, 0x24};
    write(4, wanted[0]);
    write(2, wanted[1]);
    write(0, wanted[2]);
    write(7, wanted[3]);
    write(8, wanted[4]);
    write(9, wanted[5]);
    EXPECT_EQ(face(), wanted);
    write(0x0B, 0x02);
    timers.advance(3 * kSecond);
    EXPECT_EQ(face(), (Face{0x00, 0x00, 0x01, 0x29, 0x02, 0x24})) << "a leap day";
    EXPECT_EQ(read(6), 5) << "Thursday";
}

TEST_F(RtcTest, LinuxSetsTheTimeHalfASecondBeforeTheUpdate) {
    timers.advance(123'456'789);
    write(0x0B, 0x82);
    write(0x0A, 0x76); // divider held in reset
    write(0, 0x30);
    write(0x0B, 0x02);
    write(0x0A, 0x26);
    timers.advance(499'999'999);
    EXPECT_EQ(read(0), 0x30);
    timers.advance(1);
    EXPECT_EQ(read(0), 0x31);
}

TEST_F(RtcTest, ATimeRegisterCanBeWrittenWhileTheClockRuns) {
    write(9, 0x99);
    write(0x32, 0x19);
    timers.advance(kSecond);
    EXPECT_EQ(face(), (Face{0x22, 0x13, 0x21, 0x14, 0x11, 0x99}));
    EXPECT_EQ(read(0x32), 0x19);
}

TEST_F(RtcTest, TheUpdateInterruptComesEverySecondUntilItIsDisabled) {
    silence_periods();
    timers.advance(kSecond / 4);
    read(0x0C);
    write(0x0B, 0x12);
    timers.advance(3 * kSecond / 4 - 1);
    EXPECT_FALSE(irq8.asserted());
    timers.advance(1);
    EXPECT_TRUE(irq8.asserted());
    EXPECT_EQ(read(0x0C), 0x90);
    EXPECT_FALSE(irq8.asserted());
    EXPECT_EQ(read(0x0C), 0x00);
    timers.advance(kSecond);
    EXPECT_EQ(irq8.rises(), 2u);
    timers.advance(10 * kSecond);
    EXPECT_EQ(irq8.rises(), 2u) << "until register C is read";
    read(0x0C);
    write(0x0B, 0x02);
    timers.advance(10 * kSecond);
    EXPECT_EQ(irq8.rises(), 2u);
    EXPECT_EQ(read(0x0C), 0x10) << "the flag is there for who polls";
}

TEST_F(RtcTest, TheAlarmInterruptsAtItsTime) {
    silence_periods();
    write(5, 0x22);
    write(3, 0x14);
    write(1, 0x05);
    write(0x0B, 0x22);
    timers.advance(44 * kSecond);
    EXPECT_FALSE(irq8.asserted());
    timers.advance(kSecond);
    EXPECT_TRUE(irq8.asserted());
    EXPECT_EQ(read(0x0C), 0xB0);
}

TEST_F(RtcTest, ADontCareAlarmFieldMatchesAnything) {
    silence_periods();
    write(5, 0xFF);
    write(3, 0xC0);
    write(1, 0x30);
    write(0x0B, 0x22);
    timers.advance(10 * kSecond);
    EXPECT_EQ(read(0x0C), 0xB0);
    timers.advance(60 * kSecond);
    EXPECT_EQ(irq8.rises(), 2u);
}

TEST_F(RtcTest, AnAlarmThatNobodyWaitedForIsStillFlagged) {
    write(5, 0x03);
    write(3, 0x00);
    write(1, 0x00);
    timers.advance(3 * 86'400 * kSecond);
    EXPECT_EQ(read(0x0C) & 0x20, 0x20);
}

TEST_F(RtcTest, ThePeriodicInterruptHasTheSelectedRate) {
    write(0x0B, 0x42); // 1024 Hz
    unsigned interrupts = 0;
    for (int i = 0; i < 10'000; ++i) {
        timers.advance(100'000);
        if (irq8.asserted()) {
            EXPECT_EQ(read(0x0C) & 0xC0, 0xC0);
            ++interrupts;
        }
    }
    EXPECT_EQ(interrupts, 1024u);
    write(0x0A, 0x20); // none
    read(0x0C);
    timers.advance(kSecond);
    EXPECT_FALSE(irq8.asserted());
}

TEST_F(RtcTest, TheHpetCanTakeItsInterruptOver) {
    silence_periods();
    write(0x0B, 0x12);
    rtc.set_interrupt_disconnected(true);
    timers.advance(kSecond);
    EXPECT_FALSE(irq8.asserted());
    EXPECT_EQ(read(0x0C), 0x90);
}

TEST_F(RtcTest, KeepsCmosMemoryAndTimeOverAReset) {
    write(0x40, 0xAB);
    write(0x0B, 0x12);
    rtc.reset();
    timers.advance(2 * kSecond);
    EXPECT_EQ(irq8.rises(), 0u);
    EXPECT_EQ(read(0x40), 0xAB);
    EXPECT_EQ(read(0), 0x22);
    EXPECT_EQ(read(0x80 | 0x40), 0xAB) << "bit 7 is the NMI gate";
}

TEST_F(RtcTest, NonsenseTimesAreHarmless) {
    for (const unsigned mode : {0x00u, 0x02u, 0x04u, 0x06u}) {
        for (unsigned value = 0; value < 256; ++value) {
            write(0x0B, static_cast<std::uint8_t>(0x80 | mode));
            for (const unsigned index : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 0x32u})
                write(static_cast<std::uint8_t>(index), static_cast<std::uint8_t>(value));
            write(0x0B, static_cast<std::uint8_t>(0x70 | mode));
            face();
            timers.advance(kSecond);
            read(0x0C);
        }
    }
}

TEST_F(RtcTest, ASavedClockGoesOnWithTheHosts) {
    write(4, 0x03); // the guest's clock is not the host's
    write(0x40, 0x5A);
    write(0x0B, 0x12);
    read(0x0C);
    const auto record = rtc.save();
    runtime::ManualTimers later;
    platform::RecordingLine other_irq8;
    utc += 90 * kSecond;
    Rtc other{other_irq8, later, [this] { return utc; }};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    other.write(0, 1, 4);
    EXPECT_EQ(other.read(1, 1), 0x03u);
    other.write(0, 1, 2);
    EXPECT_EQ(other.read(1, 1), 0x14u);
    later.advance(kSecond);
    EXPECT_TRUE(other_irq8.asserted());
}

TEST(Calendar, ConvertsBothWays) {
    EXPECT_EQ(to_calendar(951'782'400), (CalendarTime{2000, 2, 29, 0, 0, 0, 3}));
    for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{4'102'444'799}})
        EXPECT_EQ(to_seconds(to_calendar(seconds)), seconds);
}

} // namespace
} // namespace touka::devices
