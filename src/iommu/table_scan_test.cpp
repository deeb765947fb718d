#include "iommu/table_scan.hpp"

#include <gtest/gtest.h>

#include "iommu/test_unit.hpp"

namespace touka::iommu {
namespace {

class TableScanTest : public testing::Test {
protected:
    static constexpr std::uint64_t kIova = 0x1234'5000, kData = TestUnit::kData;

    [[nodiscard]] ScanResult scan(const Extent& extent = {}, const ScanLimits& limits = {}) {
        return scan_table(TableWalker(test_.ram(), 46), test_.ram(), context_, extent, limits);
    }
    void map(std::uint64_t iova, std::uint64_t guest, std::uint64_t bits = TestUnit::kReadWrite, unsigned level = 1) {
        test_.map(context_.table, iova, guest, bits, level);
    }
    static Mapping mapping(std::uint64_t iova, std::uint64_t bytes, std::uint64_t guest, bool write = true) {
        return {.iova = iova, .length_bytes = bytes, .guest = guest, .read = true, .write = write};
    }

    TestUnit test_;
    Context context_{.levels = 4, .table = test_.new_table()};
};

TEST_F(TableScanTest, PutsPagesTogetherThatGoOnInBothSpaces) {
    for (const std::uint64_t page : {0, 1, 2}) map(kIova + 0x1000 * page, kData + 0x1000 * page);
    map(kIova + 0x3000, kData + 0x3000, TestUnit::kRead); // other permissions
    map(kIova + 0x4000, kData + 0x8000, TestUnit::kRead); // elsewhere
    map(kIova + 0x6000, kData + 0xA000, TestUnit::kRead); // after a hole
    const auto found = scan();
    EXPECT_EQ(found.mappings,
              (std::vector{mapping(kIova, 0x3000, kData), mapping(kIova + 0x3000, 0x1000, kData + 0x3000, false),
                           mapping(kIova + 0x4000, 0x1000, kData + 0x8000, false),
                           mapping(kIova + 0x6000, 0x1000, kData + 0xA000, false)}));
    EXPECT_FALSE(found.cut_at.has_value());
}

TEST_F(TableScanTest, LooksAtTheExtentAlone) {
    for (const std::uint64_t page : {0, 1, 2, 3}) map(kIova + 0x1000 * page, kData + 0x1000 * page);
    const auto found = scan({kIova + 0x1000, kIova + 0x2FFF});
    EXPECT_EQ(found.mappings, (std::vector{mapping(kIova + 0x1000, 0x2000, kData + 0x1000)}));
    EXPECT_EQ(found.extent, (Extent{kIova + 0x1000, kIova + 0x2FFF}));
}

TEST_F(TableScanTest, AnAddressOfAGreatPageStandsForAllOfIt) {
    map(0x4020'0000, 0x20'0000, TestUnit::kReadWrite, 2);
    const auto found = scan({0x4030'0000, 0x4030'0FFF});
    EXPECT_EQ(found.mappings, (std::vector{mapping(0x4020'0000, 0x20'0000, 0x20'0000)}));
    EXPECT_EQ(found.extent, (Extent{0x4020'0000, 0x403F'FFFF}));
}

TEST_F(TableScanTest, WhatIsNoRamIsNotMapped) {
    map(0x8000'0000, 0, TestUnit::kReadWrite, 3); // 1 GiB, of which there is RAM for 8 MiB
    map(kIova, 0xFEC0'0000);
    EXPECT_EQ(scan().mappings, (std::vector{mapping(0x8000'0000, TestUnit::kRamBytes, 0)}));
}

TEST_F(TableScanTest, TheInterruptRangeIsNotMapped) {
    map(0xFEE0'0000, kData, TestUnit::kReadWrite, 2);
    map(0xFEDF'F000, kData - 0x1000);
    EXPECT_EQ(scan().mappings, (std::vector{mapping(0xFEDF'F000, 0x1000, kData - 0x1000),
                                            mapping(0xFEF0'0000, 0x10'0000, kData + 0x10'0000)}));
}

TEST_F(TableScanTest, EntriesThatAreWrongMapNothing) {
    map(kIova, kData);
    map(kIova + 0x4000'0000, kData);
    const auto above = test_.paging_entry(context_.table, kIova, 2);
    test_.store(above, test_.load(above) | std::uint64_t{1} << 46);
    EXPECT_EQ(scan().mappings, (std::vector{mapping(kIova + 0x4000'0000, 0x1000, kData)}));
    context_.table = TestUnit::kRamBytes;
    EXPECT_TRUE(scan().mappings.empty());
}

TEST_F(TableScanTest, PermissionsOfAllLevelsCount) {
    map(kIova, kData);
    const auto above = test_.paging_entry(context_.table, kIova, 3);
    test_.store(above, test_.load(above) & ~TestUnit::kWrite);
    EXPECT_EQ(scan().mappings, (std::vector{mapping(kIova, 0x1000, kData, false)}));
    const auto leaf = test_.paging_entry(context_.table, kIova, 1);
    test_.store(leaf, kData | TestUnit::kWrite);
    EXPECT_TRUE(scan().mappings.empty()) << "neither of both";
}

TEST_F(TableScanTest, TablesThatHoldThemselvesEndAtTheLimits) {
    for (std::uint64_t index = 0; index < 512; ++index)
        test_.store(context_.table + 8 * index, context_.table | TestUnit::kReadWrite);
    const auto found = scan({}, {.mappings = 1000});
    EXPECT_EQ(found.mappings.size(), 1000u);
    EXPECT_EQ(found.cut_at, 1000 * 0x1000u);
    EXPECT_LE(scan().mappings.size(), 65535u);
    // The same with a table at the end that has nothing: no mapping ends it.
    const auto empty = test_.new_table(), above = test_.new_table(), top = test_.new_table();
    for (std::uint64_t index = 0; index < 512; ++index) {
        test_.store(above + 8 * index, empty | TestUnit::kReadWrite);
        test_.store(top + 8 * index, above | TestUnit::kReadWrite);
        test_.store(context_.table + 8 * index, top | TestUnit::kReadWrite);
    }
    const auto nothing = scan({}, {.tables = 10'000});
    EXPECT_TRUE(nothing.mappings.empty());
    EXPECT_TRUE(nothing.cut_at.has_value());
}

TEST_F(TableScanTest, IsGivenUpWhenNobodyWaits) {
    map(kIova, kData);
    const std::atomic<bool> abandoned{true};
    EXPECT_TRUE(scan({}, {.abandoned = &abandoned}).cut_at.has_value());
}

} // namespace
} // namespace touka::iommu
