#include "network/segment_joiner.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "network/internet_checksum.hpp"

namespace touka::network {
namespace {

using namespace spec::net;
using namespace spec::virtio;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kHeaders = sizeof(EthernetHeader) + sizeof(Ipv4Header) + sizeof(TcpHeader);

struct Fields {
    std::uint32_t sequence = 0;
    std::uint8_t flags = tcp_flag::ACK;
    std::uint16_t port = 80;
    std::uint32_t acknowledgment = 7;
};

Bytes segment(const Fields& fields, std::size_t payload_bytes, char value) {
    const EthernetHeader ethernet{{1}, {2}, std::to_underlying(EtherType::kIpv4)};
    const Ipv4Header ip{.version_ihl = kIpv4WithoutOptions,
                        .type_of_service = 0,
                        .total_length = static_cast<std::uint16_t>(kHeaders - sizeof ethernet + payload_bytes),
                        .identification = 9,
                        .flags_fragment_offset = 0,
                        .time_to_live = 64,
                        .protocol = std::to_underlying(IpProtocol::kTcp),
                        .checksum = 0,
                        .source = 0x0A00'0202,
                        .destination = 0x0A00'020F};
    const TcpHeader tcp{.source_port = fields.port,
                        .destination_port = 40000,
                        .sequence = fields.sequence,
                        .acknowledgment = fields.acknowledgment,
                        .data_offset = 5 << 4,
                        .flags = fields.flags,
                        .window = 1000,
                        .checksum = 0,
                        .urgent_pointer = 0};
    Bytes frame(kHeaders, std::byte{0});
    std::memcpy(frame.data(), &ethernet, sizeof ethernet);
    std::memcpy(frame.data() + sizeof ethernet, &ip, sizeof ip);
    std::memcpy(frame.data() + sizeof ethernet + sizeof ip, &tcp, sizeof tcp);
    frame.resize(kHeaders + payload_bytes, static_cast<std::byte>(value));
    return frame;
}

class SegmentJoinerTest : public testing::Test {
protected:
    SegmentJoinerTest() { joiner.set_joining(true); }
    [[nodiscard]] NetworkHeader header(std::size_t index) const {
        NetworkHeader found{};
        std::memcpy(&found, messages[index].data(), sizeof found);
        return found;
    }
    [[nodiscard]] std::size_t frame_bytes(std::size_t index) const {
        return messages[index].size() - sizeof(NetworkHeader);
    }
    std::vector<Bytes> messages;
    SegmentJoiner joiner{
        [this](std::span<const std::byte> message) { messages.emplace_back(message.begin(), message.end()); }};
};

TEST_F(SegmentJoinerTest, MakesOneFrameOfSegmentsThatFollowEachOther) {
    joiner.add(segment({.sequence = 100}, 1000, 'a'));
    joiner.add(segment({.sequence = 1100}, 1000, 'b'));
    joiner.add(segment({.sequence = 2100, .flags = tcp_flag::ACK | tcp_flag::PSH}, 10, 'c'));
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(header(0).gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    EXPECT_EQ(header(0).gso_size, 1000);
    EXPECT_EQ(header(0).hdr_len, kHeaders);
    EXPECT_EQ(frame_bytes(0), kHeaders + 2010);
    EXPECT_EQ(messages[0][sizeof(NetworkHeader) + kHeaders + 1000], std::byte{'b'});
    EXPECT_EQ(messages[0].back(), std::byte{'c'});

    // With the checksum completed, the packet with its pseudo-header sums to all ones, and so does the IP header.
    ASSERT_TRUE(complete_checksum(messages[0]));
    const auto frame = std::span<const std::byte>(messages[0]).subspan(sizeof(NetworkHeader));
    const auto ip = frame.subspan(sizeof(EthernetHeader), sizeof(Ipv4Header));
    EXPECT_EQ(internet_sum(ip), 0xFFFF);
    Bytes packet{std::byte{0}, std::byte{6}};
    const auto tcp = frame.subspan(kHeaders - sizeof(TcpHeader));
    packet.push_back(static_cast<std::byte>(tcp.size() >> 8));
    packet.push_back(static_cast<std::byte>(tcp.size()));
    packet.insert(packet.end(), ip.begin() + 12, ip.end()); // both addresses
    packet.insert(packet.end(), tcp.begin(), tcp.end());
    EXPECT_EQ(internet_sum(packet), 0xFFFF);
    EXPECT_EQ(tcp[13], static_cast<std::byte>(tcp_flag::ACK | tcp_flag::PSH));
}

TEST_F(SegmentJoinerTest, ALoneSegmentLeavesUnchanged) {
    const Bytes frame = segment({.sequence = 100}, 1000, 'a');
    joiner.add(frame);
    EXPECT_TRUE(messages.empty()) << "held back for the next";
    joiner.flush();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(header(0).flags, VIRTIO_NET_HDR_F_DATA_VALID);
    EXPECT_EQ(header(0).gso_type, VIRTIO_NET_HDR_GSO_NONE);
    EXPECT_EQ(Bytes(messages[0].begin() + sizeof(NetworkHeader), messages[0].end()), frame);
}

TEST_F(SegmentJoinerTest, DoesNotJoinWhatSegmentationCouldNotMakeAgain) {
    const Fields first{.sequence = 100};
    const auto leaves_two = [&](const Fields& second, std::size_t payload_bytes) {
        messages.clear();
        joiner.add(segment(first, 1000, 'a'));
        joiner.add(segment(second, payload_bytes, 'b'));
        joiner.flush();
        return messages.size() == 2 && frame_bytes(0) == kHeaders + 1000 && frame_bytes(1) == kHeaders + payload_bytes;
    };
    EXPECT_TRUE(leaves_two({.sequence = 1101}, 1000)) << "a gap";
    EXPECT_TRUE(leaves_two({.sequence = 1100, .port = 81}, 1000)) << "another connection";
    EXPECT_TRUE(leaves_two({.sequence = 1100, .acknowledgment = 8}, 1000)) << "another acknowledgment";
    EXPECT_TRUE(leaves_two({.sequence = 1100, .flags = tcp_flag::ACK | tcp_flag::FIN}, 1000)) << "the end";
    EXPECT_TRUE(leaves_two({.sequence = 1100}, 1001)) << "larger than the first";
    EXPECT_TRUE(leaves_two({.sequence = 1100}, 0)) << "an acknowledgment alone";
    EXPECT_FALSE(leaves_two({.sequence = 1100}, 1000));
}

TEST_F(SegmentJoinerTest, StopsAtTheLargestPacket) {
    std::uint32_t sequence = 0;
    for (int i = 0; i < 50; ++i, sequence += 1460) joiner.add(segment({.sequence = sequence}, 1460, 'x'));
    joiner.flush();
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_LE(frame_bytes(0), kLargestFrameBytes - 1u);
    EXPECT_EQ(frame_bytes(0) + frame_bytes(1), 2 * kHeaders + 50 * 1460);
}

TEST_F(SegmentJoinerTest, KeepsOrderWithOtherFrames) {
    joiner.add(segment({.sequence = 100}, 1000, 'a'));
    const Bytes arp(42, std::byte{0xEE});
    joiner.add(arp);
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_EQ(frame_bytes(0), kHeaders + 1000);
    EXPECT_EQ(frame_bytes(1), arp.size());
}

TEST_F(SegmentJoinerTest, TornFramesPassWithoutHarm) {
    const Bytes whole = segment({.sequence = 100}, 20, 'a');
    for (std::size_t length = 0; length < whole.size(); ++length) joiner.add(std::span(whole).first(length));
    joiner.flush();
    EXPECT_EQ(messages.size(), whole.size());
}

} // namespace
} // namespace touka::network
