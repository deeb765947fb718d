#include "devices/passthrough/vfio_user/grant_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace touka::devices::passthrough {
namespace {

using memory::Iova;

DmaGrant grant(std::uint64_t start, std::uint64_t length) {
    return {
        .start = Iova{start}, .length_bytes = length, .rights = {true, true}, .bytes = {}, .mapping = {}, .dirty = {}};
}

TEST(GrantTable, FindsWhatAMapOfTheSameGrantsFinds) {
    std::mt19937 random(7);
    std::map<std::uint64_t, std::uint64_t> same; // start, length
    GrantTable table;
    for (int step = 0; step < 20'000; ++step) {
        const std::uint64_t start = random() % 4000, length = 1 + random() % 4;
        const auto next = same.lower_bound(start);
        const bool free = (next == same.end() || next->first >= start + length) &&
                          (next == same.begin() || std::prev(next)->first + std::prev(next)->second <= start);
        ASSERT_EQ(table.overlaps(grant(start, length)), !free);
        if (free && step % 10'000 < 7000) {
            table = table.with(grant(start, length));
            same.emplace(start, length);
        } else if (next != same.end()) {
            table = table.without(Iova{next->first});
            same.erase(next);
        }
        const std::uint64_t address = random() % 4010;
        const auto after = same.upper_bound(address);
        const bool there = after != same.begin() && std::prev(after)->first + std::prev(after)->second > address;
        const DmaGrant* const found = table.find(Iova{address});
        ASSERT_EQ(found != nullptr, there);
        if (there) {
            ASSERT_EQ(found->start.value, std::prev(after)->first);
        }
        ASSERT_EQ(table.size(), same.size());
    }
    auto expected = same.begin();
    table.for_each([&](const DmaGrant& each) {
        ASSERT_NE(expected, same.end());
        EXPECT_EQ(each.start.value, expected->first);
        ++expected;
    });
    EXPECT_EQ(expected, same.end());
}

TEST(GrantTable, TheOneBeforeStaysAsItIs) {
    const GrantTable before = GrantTable().with(grant(0, 16)).with(grant(32, 16));
    const GrantTable after = before.without(Iova{0}).changed([](DmaGrant& each) { each.rights.write = false; });
    EXPECT_NE(before.find(Iova{5}), nullptr);
    EXPECT_EQ(after.find(Iova{5}), nullptr);
    EXPECT_TRUE(before.find(Iova{40})->rights.write);
    EXPECT_FALSE(after.find(Iova{40})->rights.write);
}

} // namespace
} // namespace touka::devices::passthrough
