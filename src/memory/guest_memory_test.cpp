#include "memory/guest_memory.hpp"

#include <gtest/gtest.h>

#include <array>

#include "memory/dma_space.hpp"

namespace touka::memory {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

TEST(GuestMemory, RefusesASizeThatIsNotWholePages) {
    EXPECT_EQ(GuestMemory::create(0).error(), MemoryError::kSizeNotPageMultiple);
    EXPECT_EQ(GuestMemory::create(4097).error(), MemoryError::kSizeNotPageMultiple);
}

TEST(GuestMemory, RefusesMoreThanTheAddressSpaceHolds) {
    EXPECT_EQ(GuestMemory::create(std::uint64_t{1} << 62).error(), MemoryError::kTooLittleHostMemory);
}

TEST(GuestMemory, PutsWhatDoesNotFitBelowTheHoleAtFourGiB) {
    const auto memory = GuestMemory::create(GuestMemory::kLowRamLimit + 8 * kMiB).value();
    ASSERT_EQ(memory->ranges().size(), 2u);
    EXPECT_EQ(memory->ranges()[1].start, GuestAddress{GuestMemory::kHighRamStart});
    EXPECT_EQ(memory->top(), GuestAddress{GuestMemory::kHighRamStart + 8 * kMiB});
    EXPECT_FALSE(memory->is_ram(GuestAddress{GuestMemory::kLowRamLimit}));
    EXPECT_TRUE(memory->is_ram(GuestAddress{GuestMemory::kHighRamStart}));
}

TEST(GuestMemory, GivesNoSpanThatLeavesItsRange) {
    const auto memory = GuestMemory::create(2 * kMiB).value();
    EXPECT_EQ(memory->span(GuestAddress{2 * kMiB - 8}, 8).size(), 8u);
    EXPECT_TRUE(memory->span(GuestAddress{2 * kMiB - 8}, 9).empty());
    EXPECT_TRUE(memory->span(GuestAddress{8}, ~std::uint64_t{0}).empty());
}

TEST(GuestMemory, WritingAPageWithCodeMakesItsDecodedCodeStale) {
    const auto memory = GuestMemory::create(2 * kMiB).value();
    EXPECT_FALSE(memory->code_pages().mark(5));
    const auto before = memory->code_pages().generation(5);
    memory->written(GuestAddress{6 * spec::kPageSize}, 1);
    EXPECT_EQ(memory->code_pages().generation(5), before);
    memory->written(GuestAddress{5 * spec::kPageSize - 1}, 2);
    EXPECT_NE(memory->code_pages().generation(5), before);
    EXPECT_FALSE(memory->code_pages().is_marked(5));
}

TEST(DirtyLog, TakesEachWrittenPageOnce) {
    const auto memory = GuestMemory::create(2 * kMiB).value();
    memory->written(GuestAddress{0}, 1);
    memory->dirty_log().set_enabled(true);
    memory->written(GuestAddress{3 * spec::kPageSize - 1}, 2);
    EXPECT_EQ(memory->dirty_log().take()[0], 0b1100u);
    EXPECT_EQ(memory->dirty_log().take()[0], 0u);
}

TEST(IdentityDmaSpace, BlocksWhatIsNotRamAndNamesTheAddress) {
    const auto memory = GuestMemory::create(2 * kMiB).value();
    IdentityDmaSpace dma(*memory);
    std::array<std::byte, 16> bytes{};
    const auto result = dma.write(Iova{2 * kMiB - 8}, bytes);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().address, Iova{2 * kMiB});
    EXPECT_EQ(result.error().access, DmaAccess::kWrite);
}

TEST(IdentityDmaSpace, MarksWrittenPagesDirty) {
    const auto memory = GuestMemory::create(2 * kMiB).value();
    IdentityDmaSpace dma(*memory);
    memory->dirty_log().set_enabled(true);
    std::array<std::byte, 16> bytes{};
    ASSERT_TRUE(dma.read(Iova{0}, bytes));
    ASSERT_TRUE(dma.write(Iova{spec::kPageSize}, bytes));
    EXPECT_EQ(memory->dirty_log().take()[0], 0b10u);
}

} // namespace
} // namespace touka::memory
