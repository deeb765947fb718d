#include "devices/nvme/pacer.hpp"

#include <gtest/gtest.h>

namespace touka::devices::nvme {
namespace {

constexpr std::uint64_t kStart = 1'000'000'000'000, kSecond = 1'000'000'000;

TEST(Pacer, WithoutLimitsEverythingIsDueNow) {
    Pacer pacer;
    EXPECT_FALSE(pacer.limited());
    for (int i = 0; i < 1000; ++i) pacer.charge_bytes(kStart, 1 << 20);
    EXPECT_EQ(pacer.ready_at(kStart), kStart);
}

TEST(Pacer, ABusyFunctionGetsItsRateAndAnIdleOneABurst) {
    Pacer pacer;
    pacer.set_limits({.commands_per_second = 1000});
    std::uint64_t now = kStart;
    int done = 0;
    while (now < kStart + 2 * kSecond) {
        now = pacer.ready_at(now);
        pacer.charge_command(now);
        ++done;
    }
    EXPECT_NEAR(done, 2000 + 50, 5);
}

TEST(Pacer, ALargeCommandIsPaidForByThoseAfterIt) {
    Pacer pacer;
    pacer.set_limits({.bytes_per_second = 1 << 20});
    pacer.charge_bytes(kStart, 2 << 20);
    EXPECT_NEAR(static_cast<double>(pacer.ready_at(kStart) - kStart), 2e9 - 5e7, 1e6);
}

} // namespace
} // namespace touka::devices::nvme
