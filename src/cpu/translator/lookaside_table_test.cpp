#include "cpu/translator/lookaside_table.hpp"

#include <gtest/gtest.h>

#include <array>

namespace touka::cpu::translator {
namespace {

constexpr std::uint64_t kPage = 4096, kWrap = LookasideTable::kSlots * kPage;

class Lookaside : public testing::Test {
protected:
    /// As translated code does it. @return where the access may go on; nullptr: a miss.
    [[nodiscard]] std::uint64_t entry(std::int64_t array, std::uint64_t slot) const {
        return reinterpret_cast<const std::uint64_t*>(table_.pointer() + static_cast<std::uint64_t>(array))[slot];
    }
    [[nodiscard]] std::byte* find(std::uint64_t linear, std::uint64_t size_bytes, std::int64_t tags) const {
        const std::uint64_t slot = (linear & 0xFFFF'FFFF) >> (table_.pointer() % 32);
        const std::uint64_t offset = linear ^ entry(tags, slot);
        if (offset > kPage - size_bytes) return nullptr;
        return reinterpret_cast<std::byte*>(entry(LookasideTable::kHostPagesOffset, slot) + offset);
    }
    [[nodiscard]] bool may_write(std::uint64_t linear) const {
        return find(linear, 8, LookasideTable::kWriteTagsOffset) != nullptr;
    }
    [[nodiscard]] std::byte* look_up(std::uint64_t linear, std::uint64_t size_bytes = 8) const {
        return find(linear, size_bytes, LookasideTable::kReadTagsOffset);
    }

    LookasideTable table_;
    std::array<std::byte, 2 * kPage> host_{};
};

TEST_F(Lookaside, FindsEveryByteOfAFilledPageAndNothingThatLeavesIt) {
    table_.fill(0x7000'1000, host_.data(), {});
    EXPECT_EQ(look_up(0x7000'1000), host_.data());
    EXPECT_EQ(look_up(0x7000'1FF8), host_.data() + 0xFF8);
    EXPECT_EQ(look_up(0x7000'1FF9), nullptr);
    EXPECT_EQ(look_up(0x7000'1FFF, 1), host_.data() + 0xFFF);
    EXPECT_EQ(look_up(0x7000'2000), nullptr);
    EXPECT_EQ(look_up(0x7000'0FFC), nullptr);
}

TEST_F(Lookaside, MissesPagesThatShareASlotAndAddressesThatAreNotCanonical) {
    table_.fill(0x7000'1000, host_.data(), {});
    EXPECT_EQ(look_up(0x7000'1000 + kWrap), nullptr);
    EXPECT_EQ(look_up(0x0001'0000'7000'1000), nullptr);
    EXPECT_EQ(look_up(0x8000'0000'7000'1000), nullptr);
    table_.fill(0x7000'1000 + kWrap, host_.data() + kPage, {});
    EXPECT_EQ(look_up(0x7000'1000 + kWrap), host_.data() + kPage);
    EXPECT_EQ(look_up(0x7000'1000), nullptr);
}

TEST_F(Lookaside, LetsNobodyWriteToAPageThatWasFilledForReading) {
    table_.fill(0x3000, host_.data(), {.writes = true});
    EXPECT_TRUE(may_write(0x3000));
    table_.fill(0x3000, host_.data(), {});
    EXPECT_EQ(look_up(0x3000), host_.data());
    EXPECT_FALSE(may_write(0x3000));
    table_.fill(0x3000, host_.data(), {.writes = true});
    table_.drop(0x3000);
    EXPECT_FALSE(may_write(0x3000));
    EXPECT_FALSE(may_write(0x10));
}

TEST_F(Lookaside, FindsNothingWherePageZeroIsNotFilled) {
    EXPECT_EQ(look_up(0x10), nullptr);
    table_.fill(0, host_.data(), {});
    EXPECT_EQ(look_up(0x10), host_.data() + 0x10);
    table_.drop(0x123);
    EXPECT_EQ(look_up(0x10), nullptr);
}

TEST_F(Lookaside, DropsAPageOrTheTwoMebibytesAroundIt) {
    table_.fill(0x20'0000, host_.data(), {});
    table_.fill(0x3F'F000, host_.data(), {});
    table_.fill(0x40'0000, host_.data(), {});
    table_.drop(0x20'0ABC);
    EXPECT_EQ(look_up(0x20'0000), nullptr);
    EXPECT_NE(look_up(0x3F'F000), nullptr);
    table_.drop_large(0x20'0000);
    EXPECT_EQ(look_up(0x3F'F000), nullptr);
    EXPECT_NE(look_up(0x40'0000), nullptr);
}

TEST_F(Lookaside, KeepsGlobalPagesWhenLocalOnesAreCleared) {
    table_.fill(0x1000, host_.data(), {.global = true});
    table_.fill(0x2000, host_.data(), {});
    table_.clear_local();
    EXPECT_NE(look_up(0x1000), nullptr);
    EXPECT_EQ(look_up(0x2000), nullptr);
    table_.clear();
    EXPECT_EQ(look_up(0x1000), nullptr);
}

TEST_F(Lookaside, ForgetsEverythingWhenMorePagesWereFilledThanItLists) {
    constexpr std::uint64_t kMany = (1 << 15) + 1;
    for (std::uint64_t n = 1; n <= kMany; ++n) table_.fill(n * kPage, host_.data(), {.global = n % 2 == 0});
    EXPECT_EQ(look_up(kPage), nullptr);
    EXPECT_EQ(look_up(kMany * kPage), nullptr);
    EXPECT_EQ(table_.fill_count(), kMany);
}

} // namespace
} // namespace touka::cpu::translator
