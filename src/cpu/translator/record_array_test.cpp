#include "cpu/translator/record_array.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace touka::cpu::translator {
namespace {

TEST(RecordArray, KeepsItsRecordsWhereTheyAreWhileItGrows) {
    constexpr std::size_t kCapacity = 1 << 17;
    RecordArray<std::uint64_t> array(kCapacity);
    ASSERT_TRUE(array.is_mapped());
    const std::uint64_t* first = &array.push_back(0);
    for (std::uint64_t n = 1; n < kCapacity; ++n) array.push_back(n);
    EXPECT_EQ(array.room(), 0u);
    EXPECT_EQ(&array[0], first);
    for (std::uint64_t n = 0; n < kCapacity; ++n) ASSERT_EQ(array[n], n);
}

TEST(RecordArray, StartsAnewWhenItWasCleared) {
    RecordArray<int> array(2);
    array.push_back(1);
    array.push_back(2);
    array.clear();
    EXPECT_EQ(array.size(), 0u);
    EXPECT_EQ(array.push_back(3), 3);
    EXPECT_EQ(array.span().size(), 1u);
}

TEST(RecordArray, SaysWhenThereIsNoAddressSpace) {
    const RecordArray<std::uint64_t> array(std::size_t{1} << 57);
    EXPECT_FALSE(array.is_mapped());
}

} // namespace
} // namespace touka::cpu::translator
