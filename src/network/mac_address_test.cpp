#include "network/mac_address.hpp"

#include <gtest/gtest.h>

namespace touka::network {
namespace {

TEST(MacAddress, IsReadAndWrittenInTheUsualForm) {
    const auto address = parse_mac("52:54:00:aB:34:0f");
    ASSERT_TRUE(address) << address.error();
    EXPECT_EQ(*address, (MacAddress{0x52, 0x54, 0x00, 0xAB, 0x34, 0x0F}));
    EXPECT_EQ(to_string(*address), "52:54:00:ab:34:0f");
}

TEST(MacAddress, RefusesOtherFormsGroupsAndZeros) {
    for (const char* text : {"", "52:54:00:12:34", "52:54:00:12:34:5", "52:54:00:12:34:5g", "52-54-00-12-34-56",
                             "52:54:00:12:34:56:", "+2:54:00:12:34:56", "01:00:5e:00:00:01", "00:00:00:00:00:00"}) {
        EXPECT_FALSE(parse_mac(text)) << text;
    }
}

TEST(MacAddress, IsDerivedStablyFromNameAndPlace) {
    EXPECT_EQ(to_string(derive_mac("touka", 0)), to_string(derive_mac("touka", 0)));
    EXPECT_EQ(to_string(derive_mac("touka", 0)), "b2:bd:f4:6e:cd:15"); // guests name their interfaces after it
    EXPECT_NE(derive_mac("touka", 0), derive_mac("touka", 1));
    EXPECT_NE(derive_mac("touka", 0), derive_mac("other", 0));
    for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(derive_mac("x", i)[0] & 3, 2) << "local, not a group";
}

} // namespace
} // namespace touka::network
