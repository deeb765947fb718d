#include "network/internet_checksum.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "spec/virtio/network_offload.hpp"

namespace touka::network {
namespace {

using spec::virtio::NetworkHeader;

std::vector<std::byte> message_of(const NetworkHeader& header, std::initializer_list<int> frame) {
    std::vector<std::byte> message(sizeof header);
    std::memcpy(message.data(), &header, sizeof header);
    for (const int byte : frame) message.push_back(static_cast<std::byte>(byte));
    return message;
}

TEST(InternetChecksum, SumsTheExampleOfRfc1071) {
    const std::array<std::uint8_t, 8> bytes{0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7}; // §3: sum is DDF2
    EXPECT_EQ(internet_sum(std::as_bytes(std::span(bytes))), __builtin_bswap16(0xDDF2));
}

TEST(InternetChecksum, TakesAnOddLastByteAsAWordsFirst) {
    const std::array<std::uint8_t, 5> bytes{0x00, 0x01, 0x00, 0x02, 0xAB};
    EXPECT_EQ(internet_sum(std::as_bytes(std::span(bytes))), __builtin_bswap16(0xAB03));
}

TEST(InternetChecksum, CompletesWhatTheGuestLeftToTheCard) {
    NetworkHeader header{};
    header.flags = spec::virtio::VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = 2;
    header.csum_offset = 2;
    auto message = message_of(header, {0xEE, 0xEE, 0x12, 0x34, 0x00, 0x10, 0x01});
    ASSERT_TRUE(complete_checksum(message));
    // 1234 + 0010 + 0100 = 1344, inverted ECBB
    EXPECT_EQ(message, message_of(header, {0xEE, 0xEE, 0x12, 0x34, 0xEC, 0xBB, 0x01}));
}

TEST(InternetChecksum, LeavesFramesAloneThatAreComplete) {
    auto message = message_of({}, {1, 2, 3, 4});
    const auto before = message;
    EXPECT_TRUE(complete_checksum(message));
    EXPECT_EQ(message, before);
}

TEST(InternetChecksum, RefusesAHeaderThatPointsOutsideOfTheFrame) {
    NetworkHeader header{};
    header.flags = spec::virtio::VIRTIO_NET_HDR_F_NEEDS_CSUM;
    for (const auto& [start, offset] : {std::pair{0, 3}, {3, 0}, {4, 0}, {0xFFFF, 0xFFFF}, {5, 0xFFFE}}) {
        header.csum_start = static_cast<std::uint16_t>(start);
        header.csum_offset = static_cast<std::uint16_t>(offset);
        auto message = message_of(header, {1, 2, 3, 4});
        EXPECT_FALSE(complete_checksum(message)) << start << "+" << offset;
    }
    std::vector<std::byte> torn(5);
    EXPECT_FALSE(complete_checksum(torn));
}

} // namespace
} // namespace touka::network
