#include "machine/engine_switches.hpp"

#include <gtest/gtest.h>

#include "runtime/manual_timers.hpp"

namespace touka::machine {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

TEST(EngineSwitches, AreDueAtEachTimeAfterTheStart) {
    runtime::ManualTimers timers;
    int due = 0;
    EngineSwitches switches({2, 5}, timers, [&] { ++due; });
    timers.advance(10 * kMs);
    EXPECT_EQ(due, 0);
    switches.start();
    timers.advance(2 * kMs - 1);
    EXPECT_EQ(due, 0);
    timers.advance(1);
    EXPECT_EQ(due, 1);
    timers.advance(3 * kMs - 1);
    EXPECT_EQ(due, 1);
    timers.advance(1);
    EXPECT_EQ(due, 2);
    timers.advance(100 * kMs);
    EXPECT_EQ(due, 2);
}

TEST(EngineSwitches, AreNeverDueWithoutTimes) {
    runtime::ManualTimers timers;
    EngineSwitches switches({}, timers, [] { FAIL(); });
    switches.start();
    timers.advance(100 * kMs);
}

} // namespace
} // namespace touka::machine
