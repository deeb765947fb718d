#include "memory/translation_cache.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace touka::memory {
namespace {

class TranslationCacheTest : public testing::Test {
protected:
    static constexpr unsigned kSmall = TranslationCache::kSmallShift, kLarge = TranslationCache::kLargeShift;
    static constexpr std::uint64_t kTop = (std::uint64_t{1} << TranslationCache::kAddressBits) - 1;

    void fill(std::uint64_t address, std::uint64_t guest, unsigned shift = kSmall, bool huge = false) {
        cache_->fill({.address = address, .guest = guest, .shift = shift, .read = true, .write = true, .huge = huge});
    }
    [[nodiscard]] bool knows(std::uint64_t address) const {
        return cache_->find(address, DmaAccess::kRead).length_bytes != 0;
    }
    std::unique_ptr<TranslationCache> cache_ = std::make_unique<TranslationCache>();
};

TEST_F(TranslationCacheTest, KnowsNothingAtFirst) {
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x1000}, kTop, kTop + 1, ~std::uint64_t{0}})
        EXPECT_FALSE(knows(address));
}

TEST_F(TranslationCacheTest, GivesThePlaceInThePageAndWhatIsLeftOfIt) {
    fill(0x1234'5000, 0x7'6000);
    fill(0x4020'0000, 0x60'0000, kLarge);
    const auto small = cache_->find(0x1234'5FF0, DmaAccess::kWrite);
    EXPECT_EQ(small.guest, 0x7'6FF0u);
    EXPECT_EQ(small.length_bytes, 0x10u);
    const auto large = cache_->find(0x4020'0010, DmaAccess::kRead);
    EXPECT_EQ(large.guest, 0x60'0010u);
    EXPECT_EQ(large.length_bytes, 0x1F'FFF0u);
}

TEST_F(TranslationCacheTest, NoPageIsTakenForAnother) {
    for (const unsigned shift : {kSmall, kLarge}) {
        for (const std::uint64_t page : {std::uint64_t{0}, kTop >> shift << shift, std::uint64_t{0x1234'5660'0000}}) {
            cache_->clear();
            fill(page, kTop >> shift << shift, shift);
            EXPECT_TRUE(knows(page));
            for (unsigned bit = shift; bit < 64; ++bit) EXPECT_FALSE(knows(page ^ std::uint64_t{1} << bit)) << bit;
        }
    }
}

TEST_F(TranslationCacheTest, PermissionsAreThePages) {
    cache_->fill({.address = 0x1000, .guest = 0x2000, .read = true, .write = false});
    cache_->fill({.address = 0x20'0000, .guest = 0x40'0000, .shift = kLarge, .read = false, .write = true});
    EXPECT_NE(cache_->find(0x1000, DmaAccess::kRead).length_bytes, 0u);
    EXPECT_EQ(cache_->find(0x1000, DmaAccess::kWrite).length_bytes, 0u);
    EXPECT_EQ(cache_->find(0x20'0000, DmaAccess::kRead).length_bytes, 0u);
    EXPECT_NE(cache_->find(0x20'0000, DmaAccess::kWrite).length_bytes, 0u);
}

TEST_F(TranslationCacheTest, RangesAreForgottenToTheirEdges) {
    for (std::uint64_t page = 0x1000; page <= 0x5000; page += 0x1000) fill(page, page);
    fill(0x40'0000, 0, kLarge);
    fill(0x60'0000, 0, kLarge);
    cache_->clear_range(0x2FFF, 0x4000);
    EXPECT_TRUE(knows(0x1000));
    EXPECT_FALSE(knows(0x2000));
    EXPECT_FALSE(knows(0x4000));
    EXPECT_TRUE(knows(0x5000));
    cache_->clear_range(0x5F'FFFF, 0x5F'FFFF);
    EXPECT_FALSE(knows(0x40'0000));
    EXPECT_TRUE(knows(0x60'0000));
    cache_->clear_range(0, ~std::uint64_t{0});
    EXPECT_FALSE(knows(0x1000));
    EXPECT_FALSE(knows(0x60'0000));
}

TEST_F(TranslationCacheTest, PiecesOfAHugePageGoTogether) {
    fill(0x4020'0000, 0x20'0000, kLarge, true);
    fill(0x8040'0000, 0x40'0000, kLarge, true);
    cache_->clear_range(0x7FFF'F000, 0x7FFF'FFFF);
    EXPECT_FALSE(knows(0x4020'0000));
    EXPECT_TRUE(knows(0x8040'0000));
}

} // namespace
} // namespace touka::memory
