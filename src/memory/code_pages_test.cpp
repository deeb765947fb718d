#include "memory/code_pages.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace touka::memory {
namespace {

TEST(CodePages, AMarkGoesWithTheNextWriteAndTheGenerationGrows) {
    CodePages pages(4);
    EXPECT_FALSE(pages.mark(2));
    EXPECT_TRUE(pages.is_marked(2));
    EXPECT_FALSE(pages.is_marked(1));
    const auto before = pages.generation(2);
    pages.invalidate(2);
    EXPECT_FALSE(pages.is_marked(2));
    EXPECT_EQ(pages.generation(2), before + 1);
}

TEST(CodePages, MarkingAnewKeepsTheGeneration) {
    CodePages pages(4);
    EXPECT_FALSE(pages.mark(2));
    pages.invalidate(2);
    const auto before = pages.generation(2);
    EXPECT_FALSE(pages.mark(2));
    EXPECT_FALSE(pages.mark(2));
    EXPECT_EQ(pages.generation(2), before);
    EXPECT_EQ(pages.marks()[2].load(), 1);
}

TEST(CodePages, TellsItsListenerWhenThePageIsStaleAlready) {
    CodePages pages(4);
    std::vector<bool> marked;
    pages.on_invalidate([&] { marked.push_back(pages.is_marked(3)); });
    EXPECT_FALSE(pages.mark(3));
    EXPECT_TRUE(marked.empty());
    pages.invalidate(3);
    EXPECT_EQ(marked, std::vector{false});
}

TEST(CodePages, ARightToAPageIsItsHoldersToGiveUpWhenHeMarksIt) {
    CodePages pages(4);
    const CodePages::Holder self = pages.new_holder();
    EXPECT_TRUE(pages.take_right(1, self));
    EXPECT_TRUE(pages.mark(1, self));
    pages.give_up(1, self);
    pages.invalidate(1);
    EXPECT_FALSE(pages.mark(1, self)); // he has none any more
}

TEST(CodePages, ThereIsNoRightToAPageWithCode) {
    CodePages pages(4);
    EXPECT_FALSE(pages.mark(1));
    EXPECT_FALSE(pages.take_right(1, pages.new_holder()));
}

} // namespace
} // namespace touka::memory
