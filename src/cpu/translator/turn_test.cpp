#include "cpu/translator/turn.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace touka::cpu::translator {
namespace {

TEST(Turn, GoesToOthersThatWaitAndComesBack) {
    Turn turn;
    bool other_had_it = false; // without a lock: the turn is one
    std::thread other;
    {
        TurnHolder holder(&turn);
        other = std::thread([&] {
            const TurnHolder other_holder(&turn);
            other_had_it = true;
        });
        while (!other_had_it) holder.offer();
        EXPECT_FALSE(turn.is_wanted());
    }
    other.join();
}

TEST(Turn, IsKeptWhenNobodyWaits) {
    Turn turn;
    TurnHolder holder(&turn);
    for (int n = 0; n < 1000; ++n) holder.offer();
    EXPECT_FALSE(turn.is_wanted());
}

TEST(Turn, IsNothingWithoutATurn) {
    TurnHolder holder(nullptr);
    holder.offer();
}

} // namespace
} // namespace touka::cpu::translator
