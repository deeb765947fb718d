#include "cpu/interpreter/halt_polling.hpp"

#include <gtest/gtest.h>

namespace touka::cpu::interpreter {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(HaltPolling, WatchesOnlyAfterAShortSleep) {
    HaltPolling polling;
    EXPECT_EQ(polling.window(), microseconds(0));
    polling.slept(milliseconds(4));
    EXPECT_EQ(polling.window(), microseconds(0));
    polling.slept(microseconds(30));
    EXPECT_EQ(polling.window(), HaltPolling::kShortest);
}

TEST(HaltPolling, WatchesLongerUntilTheLimitWhileWakeUpsComeSoon) {
    HaltPolling polling;
    for (int n = 0; n < 3; ++n) polling.slept(microseconds(30));
    EXPECT_EQ(polling.window(), 4 * HaltPolling::kShortest);
    for (int n = 0; n < 10; ++n) polling.slept(microseconds(1));
    EXPECT_LE(polling.window(), HaltPolling::kLongest);
}

TEST(HaltPolling, SleepsAtOnceAfterALongSleep) {
    HaltPolling polling;
    polling.slept(microseconds(30));
    polling.slept(HaltPolling::kLongest);
    EXPECT_EQ(polling.window(), microseconds(0));
}

} // namespace
} // namespace touka::cpu::interpreter
