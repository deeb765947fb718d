#include "cpu/translator/jump_cache.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace touka::cpu::translator {
namespace {

class JumpCache : public testing::Test {
protected:
    JumpCache() { frame_->jump_generation = jump_generation(1); }

    std::unique_ptr<Frame> frame_ = std::make_unique<Frame>();
    const int one_ = 0, other_ = 0; ///< stand for code
};

constexpr std::uint64_t kUser = 0x5555'0000'1234, kKernel = 0xFFFF'FFFF'8100'1234;

TEST_F(JumpCache, KnowsNothingAtFirst) {
    EXPECT_EQ(recall_jump(*frame_, kUser), nullptr);
    EXPECT_EQ(recall_jump(*frame_, 0), nullptr);
}

TEST_F(JumpCache, RecallsAJumpUnderItsGenerationOnly) {
    remember_jump(*frame_, kUser, &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser), &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser + 1), nullptr);
    frame_->jump_generation = jump_generation(2);
    EXPECT_EQ(recall_jump(*frame_, kUser), nullptr);
    frame_->jump_generation = jump_generation(1);
    EXPECT_EQ(recall_jump(*frame_, kUser), &one_);
}

TEST_F(JumpCache, TellsTheHalvesOfTheAddressSpaceApartUnderEveryPairOfGenerations) {
    // The same low bits, and upper ones that a generation could make up for.
    constexpr std::uint64_t kLow = 0x0000'0000'8100'1234;
    constexpr std::array<std::uint16_t, 5> kGenerations{1, 2, 0x7FFF, 0x8000, 0xFFFF};
    for (const std::uint16_t user : kGenerations) {
        for (const std::uint16_t kernel : kGenerations) {
            clear_jumps(*frame_);
            frame_->jump_generation = jump_generation(user);
            remember_jump(*frame_, kLow, &one_);
            frame_->jump_generation = jump_generation(kernel);
            EXPECT_EQ(recall_jump(*frame_, 0xFFFF'8000'0000'0000 | kLow), nullptr) << user << ' ' << kernel;
        }
    }
}

TEST_F(JumpCache, TheLastTwoJumpsOfASlotStay) {
    remember_jump(*frame_, kUser - kJumpCacheEntries, &one_);
    remember_jump(*frame_, kUser, &one_);
    remember_jump(*frame_, kUser + kJumpCacheEntries, &other_);
    EXPECT_EQ(recall_jump(*frame_, kUser - kJumpCacheEntries), nullptr);
    EXPECT_EQ(recall_jump(*frame_, kUser), &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser + kJumpCacheEntries), &other_);
}

TEST_F(JumpCache, NeighboursAreNotInEachOthersWay) {
    remember_jump(*frame_, kUser - kJumpCacheEntries, &one_);
    remember_jump(*frame_, kUser, &one_);
    remember_jump(*frame_, kUser + 1, &other_);
    EXPECT_EQ(recall_jump(*frame_, kUser - kJumpCacheEntries), &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser), &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser + 1), &other_);
}

TEST_F(JumpCache, AJumpThatIsRememberedAgainLeavesTheOtherOne) {
    remember_jump(*frame_, kUser, &one_);
    remember_jump(*frame_, kUser + kJumpCacheEntries, &other_);
    remember_jump(*frame_, kUser + kJumpCacheEntries, &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser), &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser + kJumpCacheEntries), &one_);
}

TEST_F(JumpCache, ForgetsCodeThatMovedToTheSecondSlot) {
    remember_jump(*frame_, kUser, &one_);
    remember_jump(*frame_, kUser + kJumpCacheEntries, &other_);
    forget_jump(*frame_, 0x234, &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser), nullptr);
    EXPECT_EQ(recall_jump(*frame_, kUser + kJumpCacheEntries), &other_);
}

TEST_F(JumpCache, ForgetsCodeWhereverItsPageIsMapped) {
    remember_jump(*frame_, kUser, &one_);
    remember_jump(*frame_, kKernel, &one_);
    remember_jump(*frame_, 0x5555'0000'2234, &other_); // the same offset in its page
    forget_jump(*frame_, 0x234, &one_);
    EXPECT_EQ(recall_jump(*frame_, kUser), nullptr);
    EXPECT_EQ(recall_jump(*frame_, kKernel), nullptr);
    EXPECT_EQ(recall_jump(*frame_, 0x5555'0000'2234), &other_);
}

} // namespace
} // namespace touka::cpu::translator
