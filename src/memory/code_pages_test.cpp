#include "memory/code_pages.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace touka::memory {
namespace {

TEST(CodePages, AMarkGoesWithTheNextWriteAndTheGenerationGrows) {
    CodePages pages(4);
    pages.mark(2);
    EXPECT_TRUE(pages.is_marked(2));
    EXPECT_FALSE(pages.is_marked(1));
    const auto before = pages.generation(2);
    pages.invalidate(2);
    EXPECT_FALSE(pages.is_marked(2));
    EXPECT_EQ(pages.generation(2), before + 1);
}

TEST(CodePages, MarkingAnewKeepsTheGeneration) {
    CodePages pages(4);
    pages.mark(2);
    pages.invalidate(2);
    const auto before = pages.generation(2);
    pages.mark(2);
    pages.mark(2);
    EXPECT_EQ(pages.generation(2), before);
    EXPECT_EQ(pages.marks()[2].load(), 1);
}

TEST(CodePages, TellsItsListenerWhenThePageIsStaleAlready) {
    CodePages pages(4);
    std::vector<bool> marked;
    pages.on_invalidate([&] { marked.push_back(pages.is_marked(3)); });
    pages.mark(3);
    EXPECT_TRUE(marked.empty());
    pages.invalidate(3);
    EXPECT_EQ(marked, std::vector{false});
}

} // namespace
} // namespace touka::memory
