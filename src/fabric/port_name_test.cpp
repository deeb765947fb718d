#include "fabric/port_name.hpp"

#include <gtest/gtest.h>

namespace touka::fabric {
namespace {

TEST(PortName, ReadsAWwpnInEachOfItsSpellings) {
    const Wwpn expected{0x5001'4380'1234'ABCD};
    for (const auto* text : {"50:01:43:80:12:34:ab:cd", "500143801234ABCD", "naa.500143801234abcd"}) {
        EXPECT_EQ(parse_wwpn(text), expected) << text;
    }
    EXPECT_EQ(describe(expected), "50:01:43:80:12:34:ab:cd");
    EXPECT_EQ(iscsi_name(expected), "naa.500143801234abcd");
}

TEST(PortName, RefusesWhatIsNoWwpn) {
    for (const auto* text : {"", "50:01", "50:01:43:80:12:34:ab:c", "50-01-43-80-12-34-ab-cd", "500143801234abcg",
                             "naa.500143801234abcd0", "iqn.2026-01.example:a", "5:001:43:80:12:34:ab:cd"}) {
        EXPECT_FALSE(parse_wwpn(text)) << text;
    }
}

TEST(PortName, ComparesAPortByItsWwpnHoweverItLogsIn) {
    EXPECT_EQ(comparable_name("naa.5001438012345678"), comparable_name("50:01:43:80:12:34:56:78"));
    EXPECT_EQ(comparable_name("IQN.2026-01.Example:A"), "iqn.2026-01.example:a");
    EXPECT_NE(comparable_name("naa.5001438012345678"), comparable_name("naa.5001438012345679"));
}

} // namespace
} // namespace touka::fabric
