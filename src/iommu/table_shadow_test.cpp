#include "iommu/table_shadow.hpp"

#include <gtest/gtest.h>

#include "iommu/test_sink.hpp"

namespace touka::iommu {
namespace {

using Joining = TableShadow::Joining;

class TableShadowTest : public testing::Test {
protected:
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = 0x20'0000;
    /// Pages of the test's address space, each with its page of RAM.
    static Mapping pages(std::uint64_t first, std::uint64_t count, std::uint64_t data_page) {
        return {.iova = kIova + 0x1000 * first,
                .length_bytes = 0x1000 * count,
                .guest = kData + 0x1000 * data_page,
                .read = true,
                .write = true};
    }
    static Extent extent(std::uint64_t first, std::uint64_t count) {
        return {kIova + 0x1000 * first, kIova + 0x1000 * (first + count) - 1};
    }
    std::optional<std::uint64_t> update(const Extent& where, std::vector<Mapping> wanted,
                                        Joining joining = Joining::kAll) {
        return shadow_.update({where, std::move(wanted), {}}, joining);
    }

    RecordingSink sink_;
    TableShadow shadow_{sink_, 8};
};

TEST_F(TableShadowTest, GivesWhatIsNewAndLeavesWhatIsThere) {
    (void)update(extent(0, 4), {pages(0, 4, 0)});
    EXPECT_EQ(sink_.take_calls(), "1 maps, 0 unmaps");
    (void)update({}, {pages(0, 4, 0), pages(6, 1, 9)});
    EXPECT_EQ(sink_.take_calls(), "1 maps, 0 unmaps");
    EXPECT_TRUE(sink_.has(pages(6, 1, 9)));
}

TEST_F(TableShadowTest, WhatGoesOnAfterAMappingIsAMappingOfItsOwn) {
    (void)update(extent(0, 2), {pages(0, 2, 0)});
    (void)update(extent(2, 2), {pages(2, 2, 2)});
    (void)update({}, {pages(0, 4, 0)});
    EXPECT_EQ(sink_.take_calls(), "2 maps, 0 unmaps") << "what is in use is not touched";
}

TEST_F(TableShadowTest, TakesAwayWhatIsGoneOrElsewhere) {
    (void)update({}, {pages(0, 1, 0), pages(2, 1, 5), pages(4, 1, 7)});
    (void)sink_.take_calls();
    auto read_only = pages(4, 1, 7);
    read_only.write = false;
    (void)update({}, {pages(2, 1, 6), read_only});
    EXPECT_EQ(sink_.take_calls(), "2 maps, 3 unmaps");
    EXPECT_EQ(sink_.all.size(), 2u);
    EXPECT_TRUE(sink_.has(pages(2, 1, 6)));
    EXPECT_TRUE(sink_.has(read_only));
}

TEST_F(TableShadowTest, OfAPartOnlyThatPartIsLost) {
    (void)update(extent(0, 16), {pages(0, 16, 0)});
    (void)sink_.take_calls();
    (void)update(extent(4, 4), {pages(4, 1, 4), pages(6, 2, 6)}); // page 5 is gone
    EXPECT_EQ(sink_.take_calls(), "2 maps, 1 unmaps");
    EXPECT_TRUE(sink_.has(pages(0, 5, 0)));
    EXPECT_TRUE(sink_.has(pages(6, 10, 6)));
}

TEST_F(TableShadowTest, OutsideOfTheExtentNothingChanges) {
    (void)update({}, {pages(0, 1, 0), pages(1, 1, 9), pages(2, 1, 2)});
    (void)sink_.take_calls();
    (void)update(extent(1, 1), {});
    EXPECT_EQ(sink_.take_calls(), "0 maps, 1 unmaps");
    EXPECT_TRUE(sink_.has(pages(0, 1, 0)));
    EXPECT_TRUE(sink_.has(pages(2, 1, 2)));
}

TEST_F(TableShadowTest, OfWhatIsFoundAtOnceOnlyGreatRunsAreOneMapping) {
    auto great = pages(0x1000, 512, 0);
    (void)update({}, {pages(0, 3, 0), great}, Joining::kGreatRuns);
    EXPECT_EQ(sink_.take_calls(), "4 maps, 0 unmaps");
    EXPECT_TRUE(sink_.has(great));
    (void)update(extent(1, 1), {});
    EXPECT_EQ(sink_.take_calls(), "0 maps, 1 unmaps") << "its neighbours stay as they are";
}

TEST_F(TableShadowTest, TheLimitIsSaidAndMappingsGoOnWhenThereIsRoom) {
    std::vector<Mapping> many;
    for (std::uint64_t i = 0; i < 10; ++i) many.push_back(pages(2 * i, 1, 3 * i));
    EXPECT_EQ(update({}, many), pages(16, 1, 0).iova);
    EXPECT_EQ(sink_.all.size(), 8u);
    many.erase(many.begin(), many.begin() + 4);
    EXPECT_EQ(update({}, many), std::nullopt);
    EXPECT_EQ(sink_.all.size(), 6u);
}

TEST_F(TableShadowTest, WhatTheDeviceRefusesIsSaidAndNotTakenBack) {
    sink_.refuse = [](const Mapping& mapping) { return mapping == pages(2, 1, 2); };
    EXPECT_EQ(update({}, {pages(0, 1, 5), pages(2, 1, 2)}), pages(2, 1, 2).iova);
    EXPECT_EQ(update({}, {}), std::nullopt); // the sink would abort
    EXPECT_TRUE(sink_.all.empty());
}

TEST_F(TableShadowTest, AnAddressOfAGreatPageThatWasThereStandsForAllOfIt) {
    Mapping page{.iova = 0x4000'0000, .length_bytes = 0x80'0000, .guest = 0, .read = true, .write = true};
    page.greatest_shift = 30; // of which 8 MiB are RAM
    (void)update({}, {page});
    EXPECT_EQ(shadow_.whole_pages({0x7000'0000, 0x7000'0FFF}), (Extent{0x4000'0000, 0x7FFF'FFFF}));
    EXPECT_EQ(shadow_.whole_pages({0x8000'0000, 0x8000'0FFF}), (Extent{0x8000'0000, 0x8000'0FFF}));
    EXPECT_EQ(shadow_.whole_pages({0x3000'0000, 0x3000'0FFF}), (Extent{0x3000'0000, 0x3000'0FFF}));
}

} // namespace
} // namespace touka::iommu
