#include "devices/passthrough/vfio_user/wait_allowance.hpp"

#include <gtest/gtest.h>

namespace touka::devices::passthrough {
namespace {

using std::chrono::milliseconds;
using Clock = WaitAllowance::Clock;

TEST(WaitAllowance, ShortWaitsAreFree) {
    const Clock::time_point start{};
    WaitAllowance allowance(start);
    for (int i = 0; i < 1'000'000; ++i) allowance.waited(WaitAllowance::kFree);
    EXPECT_TRUE(allowance.may_wait(start));
}

TEST(WaitAllowance, LongOnesAreHalfOfTheTimeInTheLongRun) {
    Clock::time_point now{};
    WaitAllowance allowance(now);
    milliseconds waited{0};
    constexpr milliseconds kEach{1010}, kAll{1'000'000};
    while (now < Clock::time_point{kAll}) {
        if (allowance.may_wait(now)) {
            allowance.waited(kEach);
            waited += kEach;
            now += kEach;
        } else {
            now += milliseconds(1);
        }
    }
    EXPECT_LE(waited, kAll / WaitAllowance::kShare * 102 / 100 + WaitAllowance::kMost + kEach);
    EXPECT_GE(waited, kAll / WaitAllowance::kShare);
}

TEST(WaitAllowance, NoMoreThanItsMostIsSaved) {
    Clock::time_point now{};
    WaitAllowance allowance(now);
    now += std::chrono::hours(1);
    ASSERT_TRUE(allowance.may_wait(now));
    allowance.waited(WaitAllowance::kMost + WaitAllowance::kFree);
    EXPECT_FALSE(allowance.may_wait(now));
    EXPECT_TRUE(allowance.may_wait(now + milliseconds(1)));
}

} // namespace
} // namespace touka::devices::passthrough
