#include "iommu/given_translations.hpp"

#include <gtest/gtest.h>

namespace touka::iommu {
namespace {

constexpr std::uint64_t kPage = 4096, kWindow = std::uint64_t{1} << GivenTranslations::kWindowShift;

Mapping pages(std::uint64_t iova, std::uint64_t guest, std::uint64_t count, bool write = true) {
    return {.iova = iova, .length_bytes = count * kPage, .guest = guest, .read = true, .write = write};
}

class GivenTranslationsTest : public testing::Test {
protected:
    void give(const Mapping& mapping) {
        tables_.push_back(mapping);
        given_.add(std::span(&mapping, 1));
    }
    std::vector<Extent> take_stale(const Extent& extent = {}) {
        return given_.take_stale(extent, [this](const Extent&) { return tables_; });
    }
    GivenTranslations given_;
    std::vector<Mapping> tables_;
};

TEST_F(GivenTranslationsTest, WhatTheTablesStillHaveIsNotStale) {
    give(pages(0x10'0000, 0x5000, 3));
    EXPECT_TRUE(take_stale().empty());
    EXPECT_EQ(given_.window_count(), 1u);
}

TEST_F(GivenTranslationsTest, WhatIsGoneElsewhereOrHasOtherPermissionsIsStaleOnce) {
    give(pages(0x10'0000, 0x5000, 4));
    tables_ = {pages(0x10'0000, 0x5000, 1), pages(0x10'1000, 0x9000, 1), pages(0x10'2000, 0x7000, 1, false)};
    EXPECT_EQ(take_stale(), (std::vector<Extent>{{0x10'1000, 0x10'3FFF}}));
    EXPECT_TRUE(take_stale().empty());
}

TEST_F(GivenTranslationsTest, OnlyWhatIsNamedIsCompared) {
    give(pages(0x10'0000, 0x5000, 4));
    tables_.clear();
    EXPECT_EQ(take_stale({0x10'2000, 0x10'2FFF}), (std::vector<Extent>{{0x10'2000, 0x10'2FFF}}));
    EXPECT_TRUE(take_stale({0x50'0000, 0x5F'FFFF}).empty());
    EXPECT_EQ(take_stale(), (std::vector<Extent>{{0x10'0000, 0x10'1FFF}, {0x10'3000, 0x10'3FFF}}));
    EXPECT_EQ(given_.window_count(), 0u);
}

TEST_F(GivenTranslationsTest, ExtentsGoOnOverWindows) {
    give(pages(kWindow - kPage, 0x5000, 2));
    tables_.clear();
    EXPECT_EQ(take_stale(), (std::vector<Extent>{{kWindow - kPage, kWindow + kPage - 1}}));
}

TEST_F(GivenTranslationsTest, AnyAddressOfAGreaterPageStandsForAllOfIt) {
    Mapping large = pages(4 * kWindow, 0, 512);
    large.greatest_shift = GivenTranslations::kWindowShift;
    give(large);
    tables_.clear();
    EXPECT_EQ(take_stale({4 * kWindow + 0x3000, 4 * kWindow + 0x3FFF}),
              (std::vector<Extent>{{4 * kWindow, 5 * kWindow - 1}}));
}

TEST_F(GivenTranslationsTest, APageThatWasGivenTwiceDifferentlyIsStale) {
    give(pages(0x10'0000, 0x5000, 1));
    tables_.clear();
    give(pages(0x10'0000, 0x6000, 1)); // without an invalidation
    EXPECT_EQ(take_stale(), (std::vector<Extent>{{0x10'0000, 0x10'0FFF}}));
}

TEST_F(GivenTranslationsTest, BeyondTheLimitEveryInvalidationIsPassedOnUntilOneOfEverything) {
    for (std::uint64_t i = 0; i <= GivenTranslations::kWindowLimit; ++i) give(pages(i * kWindow, 0, 1));
    EXPECT_EQ(given_.window_count(), 0u);
    const Extent one{0x7000, 0x7FFF};
    EXPECT_EQ(take_stale(one), std::vector<Extent>{one});
    EXPECT_EQ(take_stale(one), std::vector<Extent>{one});
    EXPECT_EQ(take_stale(), std::vector<Extent>{Extent{}});
    EXPECT_TRUE(take_stale().empty());
}

} // namespace
} // namespace touka::iommu
