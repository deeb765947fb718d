#include "memory/dma_uses.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace touka::memory {
namespace {

TEST(DmaUses, NobodyIsWaitedForWhenNobodyUsesAnything) {
    DmaUses uses;
    int over = 0;
    uses.when_over([&] { ++over; });
    EXPECT_EQ(over, 1);
    {
        const auto use = uses.begin();
    }
    uses.when_over([&] { ++over; });
    EXPECT_EQ(over, 2);
}

TEST(DmaUses, TheLastUseFromBeforeEndsTheWait) {
    DmaUses uses;
    auto first = uses.begin(), second = uses.begin();
    int over = 0;
    uses.when_over([&] { ++over; });
    first.end();
    EXPECT_EQ(over, 0);
    second.end();
    EXPECT_EQ(over, 1);
}

TEST(DmaUses, AUseFromAfterIsNotWaitedFor) {
    DmaUses uses;
    auto before = uses.begin();
    int over = 0;
    uses.when_over([&] { ++over; });
    const auto after = uses.begin();
    before.end();
    EXPECT_EQ(over, 1);
}

TEST(DmaUses, WhoAsksDuringAWaitWaitsForThoseWhoCameInBetween) {
    DmaUses uses;
    auto old = uses.begin();
    int first = 0, second = 0;
    uses.when_over([&] { ++first; });
    auto between = uses.begin();
    uses.when_over([&] { ++second; });
    old.end();
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 0);
    between.end();
    EXPECT_EQ(second, 1);
}

TEST(DmaUses, ACallbackMayBeginEndAndAsk) {
    DmaUses uses;
    auto use = uses.begin();
    int over = 0;
    uses.when_over([&] {
        {
            const auto own = uses.begin();
        }
        uses.when_over([&] { ++over; });
    });
    use.end();
    EXPECT_EQ(over, 1);
}

TEST(DmaUses, AMovedUseEndsOnce) {
    DmaUses uses;
    auto use = uses.begin();
    int over = 0;
    uses.when_over([&] { ++over; });
    DmaUses::Use other = std::move(use);
    use.end(); // NOLINT(bugprone-use-after-move): that it does nothing is the point
    EXPECT_EQ(over, 0);
    other = {};
    EXPECT_EQ(over, 1);
}

/// What is replaced is destroyed once nobody uses it; readers that find it destroyed see another value (or the
/// sanitizers do).
TEST(DmaUses, WhatIsTakenAwayIsNotTouchedAfterTheWait) {
    constexpr int kAlive = 1, kGone = 2, kReplacements = 20'000;
    struct Memory {
        std::atomic<int> state{kAlive};
    };
    DmaUses uses;
    std::atomic<Memory*> current{new Memory};
    std::atomic<bool> stop{false};
    std::atomic<int> violations{0}, destroyed{0};
    auto reader = [&] {
        while (!stop) {
            const auto use = uses.begin();
            const Memory* const memory = current;
            for (int i = 0; i < 8; ++i) violations += memory->state == kAlive ? 0 : 1;
        }
    };
    std::thread one(reader), two(reader);
    std::vector<std::unique_ptr<Memory>> graves; // freed at the end: a late reader is to be seen, not to crash
    graves.reserve(kReplacements);
    for (int i = 0; i < kReplacements; ++i) {
        Memory* const old = current.exchange(new Memory);
        graves.emplace_back(old);
        uses.when_over([&, old] {
            old->state = kGone;
            ++destroyed;
        });
    }
    stop = true;
    one.join();
    two.join();
    EXPECT_EQ(violations, 0);
    EXPECT_EQ(destroyed, kReplacements);
    delete current.load();
}

} // namespace
} // namespace touka::memory
