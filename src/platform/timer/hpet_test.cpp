#include "platform/timer/hpet.hpp"

#include <gtest/gtest.h>

#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

constexpr std::uint64_t kInterrupts = 0x4, kPeriodic = 0x8, kValueSet = 0x40, kMode32 = 0x100, kLevel = 0x2;
constexpr std::uint64_t route(unsigned gsi) { return std::uint64_t{gsi} << 9; }

class HpetTest : public testing::Test {
protected:
    static HpetLines wires(HpetTest& test) {
        HpetLines lines{&test.irq0, &test.irq8, {}};
        for (std::size_t i = 0; i < lines.gsi.size(); ++i) lines.gsi[i] = &test.gsi[i];
        return lines;
    }
    std::uint64_t read(std::uint64_t offset, unsigned width = 8) { return hpet.read(offset, width); }
    void write(std::uint64_t offset, std::uint64_t value, unsigned width = 8) { hpet.write(offset, width, value); }
    void enable() { write(0x10, 1); }
    void configure(unsigned timer, std::uint64_t value) { write(0x100 + 0x20 * timer, value); }
    void compare(unsigned timer, std::uint64_t value) { write(0x108 + 0x20 * timer, value); }

    runtime::ManualTimers timers;
    RecordingLine irq0, irq8;
    std::array<RecordingLine, 4> gsi;
    std::vector<bool> replacements;
    Hpet hpet{wires(*this), timers, [this](bool on) { replacements.push_back(on); }};
};

TEST_F(HpetTest, SaysWhatItCanDo) {
    EXPECT_EQ(read(0x000), 0x0098'9680'8086'A201u);
    EXPECT_EQ(read(0x004, 4), 10'000'000u) << "10 ns";
    EXPECT_EQ(read(0x100), 0x00F0'0000'0000'0030u);
    EXPECT_EQ(read(0x160), 0u) << "there is no fourth timer";
}

TEST_F(HpetTest, CountsOnlyWhileEnabledAndIsWritableOnlyWhileHalted) {
    write(0x0F0, 1000);
    timers.advance(500);
    EXPECT_EQ(read(0x0F0), 1000u);
    enable();
    timers.advance(500);
    EXPECT_EQ(read(0x0F0), 1050u);
    write(0x0F0, 0);
    EXPECT_EQ(read(0x0F0), 1050u);
    write(0x10, 0);
    timers.advance(500);
    EXPECT_EQ(read(0x0F0, 4), 1050u);
    write(0x0F4, 1, 4);
    EXPECT_EQ(read(0x0F0), 0x1'0000'041Au);
}

TEST_F(HpetTest, AOneShotMatchesOnceOnItsRoute) {
    enable();
    configure(2, kInterrupts | route(21));
    compare(2, 100);
    timers.advance(999);
    EXPECT_EQ(gsi[1].rises(), 0u);
    timers.advance(1);
    EXPECT_EQ(gsi[1].rises(), 1u);
    timers.advance(1'000'000);
    EXPECT_EQ(gsi[1].rises(), 1u);
    compare(2, read(0x0F0) + 50);
    timers.advance(500);
    EXPECT_EQ(gsi[1].rises(), 2u);
}

TEST_F(HpetTest, APeriodicTimerFollowsLinuxesSequence) {
    write(0x10, 3);
    configure(0, kInterrupts | kPeriodic | kValueSet | kMode32);
    compare(0, 20'000);
    compare(0, 10'000);
    timers.advance(199'999);
    EXPECT_EQ(irq0.rises(), 0u);
    timers.advance(1);
    EXPECT_EQ(irq0.rises(), 1u);
    timers.advance(100'000 * 50);
    EXPECT_EQ(irq0.rises(), 51u);
    EXPECT_EQ(read(0x108), 530'000u) << "the comparator is the next match";
}

TEST_F(HpetTest, LegacyReplacementTakesOverTimerAndClockInterrupts) {
    write(0x10, 3);
    EXPECT_EQ(replacements, std::vector<bool>{true});
    configure(0, kInterrupts | route(22));
    configure(1, kInterrupts | route(23));
    compare(0, 10);
    compare(1, 20);
    timers.advance(1'000);
    EXPECT_EQ(irq0.rises(), 1u);
    EXPECT_EQ(irq8.rises(), 1u);
    EXPECT_EQ(gsi[2].rises() + gsi[3].rises(), 0u);
    write(0x10, 1);
    EXPECT_EQ(replacements, (std::vector<bool>{true, false}));
}

TEST_F(HpetTest, ALevelInterruptStaysUntilItsStatusIsCleared) {
    enable();
    configure(1, kInterrupts | kLevel | route(20));
    compare(1, 10);
    timers.advance(5'000);
    EXPECT_TRUE(gsi[0].asserted());
    EXPECT_EQ(read(0x20), 2u);
    write(0x20, 1);
    EXPECT_TRUE(gsi[0].asserted());
    write(0x20, 2);
    EXPECT_FALSE(gsi[0].asserted());
    EXPECT_EQ(read(0x20), 0u);
}

TEST_F(HpetTest, A32BitComparatorMatchesAgainAfterTheWrap) {
    enable();
    configure(2, kInterrupts | kMode32 | route(20));
    compare(2, 100);
    timers.advance(1'000);
    ASSERT_EQ(gsi[0].rises(), 1u);
    timers.advance(10 * ((std::uint64_t{1} << 32) - 1));
    EXPECT_EQ(gsi[0].rises(), 1u);
    timers.advance(10);
    EXPECT_EQ(gsi[0].rises(), 2u);
}

TEST_F(HpetTest, AMatchThatIsDueIsNotLostToARegisterWriteBeforeItsAlarm) {
    // The alarm runs on another thread; until it does, a vCPU may come first.
    struct LateTimers final : runtime::Timers {
        struct Never final : runtime::Timer {
            void arm(std::uint64_t) override {}
            void disarm() override {}
        };
        [[nodiscard]] std::uint64_t now_ns() const override { return now; }
        [[nodiscard]] std::unique_ptr<runtime::Timer> make_timer(std::function<void()>) override {
            return std::make_unique<Never>();
        }
        std::uint64_t now = 0;
    } late;
    Hpet other{wires(*this), late, [](bool) {}};
    other.write(0x10, 8, 1);
    other.write(0x140, 8, kInterrupts | route(20));
    other.write(0x148, 8, 100);
    late.now = 1'500;
    other.write(0x148, 8, 100'000);
    EXPECT_EQ(gsi[0].rises(), 1u);
}

TEST_F(HpetTest, AnAbsurdlyShortPeriodDoesNotStallTheHost) {
    enable();
    configure(0, kInterrupts | kPeriodic | kValueSet | route(20));
    compare(0, 1);
    timers.advance(1'000'000'000);
    EXPECT_LE(gsi[0].rises(), 20'001u);
    EXPECT_GT(gsi[0].rises(), 10'000u);
}

TEST_F(HpetTest, AccessesOfAnyWidthAnywhereAreHarmless) {
    for (std::uint64_t offset = 0; offset < 0x3F8; ++offset) {
        for (const unsigned width : {1u, 2u, 4u, 8u}) {
            write(offset, ~std::uint64_t{0}, width);
            read(offset, width);
        }
        timers.advance(1'000);
    }
}

TEST_F(HpetTest, SavedTimersGoOnWhereTheyWere) {
    enable();
    configure(0, kInterrupts | kPeriodic | kValueSet | route(20));
    compare(0, 10'000);
    configure(1, kInterrupts | kLevel | route(21));
    compare(1, 5);
    timers.advance(40'000);
    const auto record = hpet.save();
    runtime::ManualTimers later;
    later.advance(12'345);
    Hpet other{wires(*this), later, [this](bool on) { replacements.push_back(on); }};
    for (auto& line : gsi) line.forget();
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_TRUE(gsi[1].asserted());
    later.advance(59'990);
    EXPECT_EQ(gsi[0].rises(), 0u);
    later.advance(10);
    EXPECT_EQ(gsi[0].rises(), 1u);
    hpet.reset();
    EXPECT_EQ(read(0x0F0), 0u);
}

} // namespace
} // namespace touka::platform
