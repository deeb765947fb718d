#include "network/port_forward.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace touka::network {
namespace {

using testing::HasSubstr;

TEST(PortForward, ReadsTheFullFormAndWritesItBack) {
    const auto forward = parse_port_forward("udp:192.168.1.7:5353-10.0.2.99:53");
    ASSERT_TRUE(forward) << forward.error();
    EXPECT_EQ(*forward, (PortForward{.protocol = PortForward::Protocol::kUdp,
                                     .host_address = 0xC0A8'0107,
                                     .host_port = 5353,
                                     .guest_address = 0x0A00'0263,
                                     .guest_port = 53}));
    EXPECT_EQ(to_string(*forward), "udp:192.168.1.7:5353-10.0.2.99:53");
}

TEST(PortForward, FillsInLoopbackAndTheGuestThatDhcpServes) {
    const auto forward = parse_port_forward("tcp::2222-:22");
    ASSERT_TRUE(forward) << forward.error();
    EXPECT_EQ(to_string(*forward), "tcp:127.0.0.1:2222-10.0.2.15:22");
}

TEST(PortForward, SaysWhichPartIsWrong) {
    const auto error = [](const char* text) {
        const auto forward = parse_port_forward(text);
        return forward ? std::string("it was taken") : forward.error();
    };
    EXPECT_THAT(error(""), HasSubstr("tcp: or udp:"));
    EXPECT_THAT(error("sctp::1-:1"), HasSubstr("tcp: or udp:"));
    EXPECT_THAT(error("tcp::2222"), HasSubstr("no - between"));
    EXPECT_THAT(error("tcp:2222-:22"), HasSubstr("the host part \"2222\" has no port"));
    EXPECT_THAT(error("tcp::2222-22"), HasSubstr("the guest part \"22\" has no port"));
    EXPECT_THAT(error("tcp:localhost:2222-:22"), HasSubstr("the host address \"localhost\""));
    EXPECT_THAT(error("tcp:1.2.3:2222-:22"), HasSubstr("the host address"));
    EXPECT_THAT(error("tcp:1.2.3.256:2222-:22"), HasSubstr("the host address"));
    EXPECT_THAT(error("tcp:1.2.3.4.5:2222-:22"), HasSubstr("the host address"));
    EXPECT_THAT(error("tcp::0-:22"), HasSubstr("the host port \"0\""));
    EXPECT_THAT(error("tcp::65536-:22"), HasSubstr("the host port \"65536\""));
    EXPECT_THAT(error("tcp::22x-:22"), HasSubstr("the host port \"22x\""));
    EXPECT_THAT(error("tcp::2222-:"), HasSubstr("the guest port \"\""));
    EXPECT_THAT(error("tcp::2222-192.168.0.1:22"), HasSubstr("outside of the guest's network 10.0.2.0/24"));
}

} // namespace
} // namespace touka::network
