#include "platform/timer/pit8254.hpp"

#include <gtest/gtest.h>

#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

/// The first nanosecond in which `ticks` of 1.193182 MHz have passed.
constexpr std::uint64_t ns(std::uint64_t ticks) { return (ticks * 1'000'000'000 + 1'193'181) / 1'193'182; }

class Pit8254Test : public testing::Test {
protected:
    void control(std::uint8_t value) { pit.counter_ports().write(3, 1, value); }
    void load(unsigned channel, std::uint16_t count) {
        pit.counter_ports().write(channel, 1, count & 0xFF);
        pit.counter_ports().write(channel, 1, count >> 8);
    }
    std::uint8_t byte(unsigned channel) { return static_cast<std::uint8_t>(pit.counter_ports().read(channel, 1)); }
    std::uint16_t count(unsigned channel) {
        const unsigned low = byte(channel);
        const unsigned high = byte(channel);
        return static_cast<std::uint16_t>(high << 8 | low);
    }
    /// Sets the clock to a number of ticks since the test began.
    void at_tick(std::uint64_t ticks) { timers.advance(ns(ticks) - timers.now_ns()); }
    bool out2() { return pit.speaker_port().read(0, 1) & 0x20; }
    void gate2(bool open) { pit.speaker_port().write(0, 1, open); }

    runtime::ManualTimers timers;
    RecordingLine irq0;
    Pit8254 pit{irq0, timers};
};

TEST_F(Pit8254Test, Mode2InterruptsEveryPeriodWithoutDrift) {
    control(0x34);
    load(0, 11'932); // about 100 Hz
    at_tick(11'931);
    EXPECT_EQ(irq0.rises(), 0u);
    at_tick(11'932);
    EXPECT_EQ(irq0.rises(), 1u);
    at_tick(11'932 * 1000 - 1);
    EXPECT_EQ(irq0.rises(), 999u);
    at_tick(11'932 * 1000);
    EXPECT_EQ(irq0.rises(), 1000u);
}

TEST_F(Pit8254Test, Mode2ReloadsWhenItReachesOne) {
    control(0x34);
    load(0, 100);
    at_tick(99);
    EXPECT_EQ(count(0), 1);
    at_tick(100);
    EXPECT_EQ(count(0), 100);
}

TEST_F(Pit8254Test, Mode0RisesOnceAtTerminalCountAndStaysHigh) {
    control(0x30);
    load(0, 1000);
    at_tick(999);
    EXPECT_FALSE(irq0.asserted());
    at_tick(1000);
    EXPECT_TRUE(irq0.asserted());
    at_tick(200'000);
    EXPECT_EQ(irq0.rises(), 1u);
    EXPECT_EQ(count(0), static_cast<std::uint16_t>(1000 - 200'000)) << "it counts on from 0 through FFFFh";
    control(0x30);
    EXPECT_FALSE(irq0.asserted());
}

TEST_F(Pit8254Test, Mode0StopsAtTheFirstOfTwoBytes) {
    control(0x30);
    pit.counter_ports().write(0, 1, 10);
    at_tick(5'000);
    EXPECT_EQ(irq0.rises(), 0u);
    pit.counter_ports().write(0, 1, 0);
    timers.advance(ns(10));
    EXPECT_EQ(irq0.rises(), 1u);
}

TEST_F(Pit8254Test, Mode3IsASquareWaveThatCountsByTwo) {
    control(0xB6);
    gate2(true);
    load(2, 10);
    const auto sample = [&](std::uint64_t tick) {
        at_tick(tick);
        return std::pair{out2(), count(2)};
    };
    EXPECT_EQ(sample(0), (std::pair<bool, std::uint16_t>{true, 10}));
    EXPECT_EQ(sample(4), (std::pair<bool, std::uint16_t>{true, 2}));
    EXPECT_EQ(sample(5), (std::pair<bool, std::uint16_t>{false, 10}));
    EXPECT_EQ(sample(9), (std::pair<bool, std::uint16_t>{false, 2}));
    EXPECT_EQ(sample(10), (std::pair<bool, std::uint16_t>{true, 10}));
}

TEST_F(Pit8254Test, Mode3WithAnOddCountIsHighOneClockLonger) {
    control(0xB6);
    gate2(true);
    load(2, 5);
    std::string wave;
    for (std::uint64_t tick = 0; tick < 10; ++tick) {
        at_tick(tick);
        wave += out2() ? 'H' : 'L';
    }
    EXPECT_EQ(wave, "HHHLLHHHLL");
}

TEST_F(Pit8254Test, Mode1IsAOneShotThatTheGateTriggers) {
    control(0xB2);
    load(2, 50);
    EXPECT_TRUE(out2());
    at_tick(100);
    gate2(true);
    EXPECT_FALSE(out2());
    at_tick(149);
    EXPECT_FALSE(out2());
    at_tick(151);
    EXPECT_TRUE(out2());
    gate2(false);
    gate2(true);
    EXPECT_FALSE(out2()) << "triggered again";
}

TEST_F(Pit8254Test, Mode4StrobesForOneClock) {
    control(0xB8);
    gate2(true);
    load(2, 20);
    at_tick(19);
    EXPECT_TRUE(out2());
    at_tick(20);
    EXPECT_FALSE(out2());
    at_tick(21);
    EXPECT_TRUE(out2());
}

TEST_F(Pit8254Test, Mode5StrobesAfterItsTrigger) {
    control(0xBA);
    load(2, 20);
    at_tick(100);
    EXPECT_TRUE(out2());
    gate2(true);
    timers.advance(ns(20));
    EXPECT_FALSE(out2());
}

TEST_F(Pit8254Test, LinuxCalibratesItsTscWithChannel2ThroughPort61h) {
    pit.speaker_port().write(0, 1, 0x01);
    control(0xB0);
    load(2, 59'659); // 50 ms
    EXPECT_EQ(pit.speaker_port().read(0, 1) & 0x23, 0x01u);
    timers.advance(49'999'000);
    EXPECT_FALSE(out2());
    timers.advance(2'000);
    EXPECT_TRUE(out2());
}

TEST_F(Pit8254Test, AClosedGateHoldsTheCount) {
    gate2(true);
    control(0xB0);
    load(2, 1000);
    at_tick(400);
    gate2(false);
    at_tick(5'000);
    EXPECT_EQ(count(2), 600);
    gate2(true);
    timers.advance(ns(599));
    EXPECT_FALSE(out2());
    timers.advance(ns(2));
    EXPECT_TRUE(out2());
}

TEST_F(Pit8254Test, ACountOfZeroIsTheLargest) {
    control(0x34);
    load(0, 0);
    at_tick(65'535);
    EXPECT_EQ(irq0.rises(), 0u);
    at_tick(65'536);
    EXPECT_EQ(irq0.rises(), 1u);
}

TEST_F(Pit8254Test, BcdCountsInDecimalDigits) {
    control(0x35);
    load(0, 0x1234);
    at_tick(34);
    EXPECT_EQ(count(0), 0x1200);
    at_tick(1233);
    EXPECT_EQ(count(0), 0x0001);
    at_tick(1234);
    EXPECT_EQ(irq0.rises(), 1u);
    control(0x35);
    load(0, 0x0000);
    timers.advance(ns(1));
    EXPECT_EQ(count(0), 0x9999);
}

TEST_F(Pit8254Test, ALatchedCountWaitsUntilBothBytesAreRead) {
    control(0x34);
    load(0, 1000);
    at_tick(100);
    control(0x00);
    at_tick(300);
    control(0x00); // ignored: the first is not read yet
    EXPECT_EQ(count(0), 900);
    EXPECT_EQ(count(0), 700);
}

TEST_F(Pit8254Test, ReadBackLatchesStatusBeforeCount) {
    control(0xB6);
    gate2(true);
    load(2, 100);
    at_tick(60);
    control(0xC8); // status and count of channel 2
    at_tick(70);
    EXPECT_EQ(byte(2), 0x36) << "OUT low, count loaded, both bytes, mode 3";
    EXPECT_EQ(count(2), 80) << "10 clocks into the low half, by two";
    control(0xB0);
    control(0xE8); // status only
    EXPECT_EQ(byte(2), 0x70) << "null count, mode 0";
}

TEST_F(Pit8254Test, SingleByteAccessLoadsAndReadsOneHalf) {
    control(0x14);
    pit.counter_ports().write(0, 1, 200);
    at_tick(50);
    EXPECT_EQ(byte(0), 150);
    EXPECT_EQ(byte(0), 150);
    control(0x24);
    pit.counter_ports().write(0, 1, 2);
    EXPECT_EQ(byte(0), 2);
}

TEST_F(Pit8254Test, AnAbsurdlyShortPeriodDoesNotStallTheHost) {
    control(0x14);
    pit.counter_ports().write(0, 1, 1);
    timers.advance(1'000'000'000);
    EXPECT_GT(irq0.rises(), 1'000u);
    EXPECT_LT(irq0.rises(), 30'000u);
}

TEST_F(Pit8254Test, TheRefreshBitToggles) {
    unsigned changes = 0;
    bool last = pit.speaker_port().read(0, 1) & 0x10;
    for (int i = 0; i < 100; ++i) {
        timers.advance(15'085);
        const bool now = pit.speaker_port().read(0, 1) & 0x10;
        changes += now != last;
        last = now;
    }
    EXPECT_EQ(changes, 100u);
}

TEST_F(Pit8254Test, TheHpetCanTakeItsInterruptOver) {
    control(0x34);
    load(0, 1000);
    pit.set_interrupt_disconnected(true);
    at_tick(5'500);
    EXPECT_EQ(irq0.rises(), 0u);
    pit.set_interrupt_disconnected(false);
    at_tick(6'000);
    EXPECT_EQ(irq0.rises(), 1u);
}

TEST_F(Pit8254Test, SavedCountersGoOnWhereTheyWere) {
    control(0x34);
    load(0, 1000);
    control(0xB6);
    gate2(true);
    load(2, 400);
    at_tick(2'300);
    control(0x80);
    byte(2); // half of a latched count is read
    const auto record = pit.save();

    runtime::ManualTimers later;
    later.advance(100);
    RecordingLine other_irq0;
    Pit8254 other{other_irq0, later};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_EQ(other.counter_ports().read(2, 1), byte(2));
    later.advance(ns(699));
    EXPECT_EQ(other_irq0.rises(), 0u);
    later.advance(ns(2));
    EXPECT_EQ(other_irq0.rises(), 1u);
}

TEST_F(Pit8254Test, HostileStateIsCutToSize) {
    cpu::PitState state;
    for (auto& channel : state.channels) {
        channel.count = 0;
        channel.mode = 0xFF;
        channel.access = cpu::PitChannelState::Access{0x7F};
        channel.counting = true;
        channel.elapsed_ns = ~std::uint64_t{0};
    }
    ASSERT_TRUE(pit.restore(migration::save_record("pit", state)));
    timers.advance(1'000'000);
    for (unsigned channel = 0; channel < 3; ++channel) byte(channel);
}

} // namespace
} // namespace touka::platform
