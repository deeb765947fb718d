#include "configuration/values.hpp"

#include <gtest/gtest.h>

#include <array>

namespace touka::configuration {
namespace {

constexpr std::uint64_t kMiB = 1 << 20, kGiB = 1 << 30;

TEST(ConfigSize, ReadsUnitsAsPowersOf1024) {
    EXPECT_EQ(parse_size("512M"), 512 * kMiB);
    EXPECT_EQ(parse_size("2G"), 2 * kGiB);
    EXPECT_EQ(parse_size("2gb"), 2 * kGiB);
    EXPECT_EQ(parse_size("64KiB"), 65536u);
    EXPECT_EQ(parse_size("1.5G"), 3 * kGiB / 2);
    EXPECT_EQ(parse_size("0.25T"), 256 * kGiB);
    EXPECT_EQ(parse_size("16777215T"), 16777215ull << 40);
}

TEST(ConfigSize, RefusesWhatIsNotClearlyASize) {
    for (const auto* text : {"", "G", "512", "1.G", ".5G", "1.2.3G", "-1G", "1X", "1GiBs", "1 G", "16777216T",
                             "99999999999999999999G", "1.0000000000G"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
    EXPECT_EQ(parse_size("512").error(), "\"512\" has no unit: write a size like 512M, 2G or 1.5G");
}

TEST(ConfigSuggestion, NamesTheNearestWordOrNone) {
    constexpr std::array<std::string_view, 3> kWords{"memory", "kernel", "ro"};
    EXPECT_EQ(closest_match("memroy", kWords), "memory");
    EXPECT_EQ(closest_match("kernal", kWords), "kernel");
    EXPECT_EQ(closest_match("zebra", kWords), "");
    EXPECT_EQ(closest_match("xy", kWords), "");
}

} // namespace
} // namespace touka::configuration
