#include "network/internet_checksum.hpp"

#include <cstring>

#include "spec/virtio/network_offload.hpp"

namespace touka::network {

std::uint16_t internet_sum(std::span<const std::byte> bytes, std::uint16_t sum) {
    // 32-bit words into 64 bits: carries are folded once, and byte order does not matter (RFC 1071 §2).
    std::uint64_t total = sum;
    std::size_t at = 0;
    for (; at + sizeof(std::uint32_t) <= bytes.size(); at += sizeof(std::uint32_t)) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes.data() + at, sizeof word);
        total += word;
    }
    std::uint32_t rest = 0;
    if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
    total += rest;
    while (total >> 16 != 0) total = (total & 0xFFFF) + (total >> 16);
    return static_cast<std::uint16_t>(total);
}

bool complete_checksum(std::span<std::byte> message) {
    spec::virtio::NetworkHeader header;
    if (message.size() < sizeof header) return false;
    std::memcpy(&header, message.data(), sizeof header);
    if ((header.flags & spec::virtio::VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0) return true;

    const std::span<std::byte> frame = message.subspan(sizeof header);
    const std::size_t field = std::size_t{header.csum_start} + header.csum_offset;
    if (field + sizeof(std::uint16_t) > frame.size()) return false;
    auto checksum = static_cast<std::uint16_t>(~internet_sum(frame.subspan(header.csum_start)));
    if (checksum == 0) checksum = 0xFFFF; // the same number, and UDP's 0 would say that there is none (RFC 768)
    std::memcpy(frame.data() + field, &checksum, sizeof checksum);
    return true;
}

} // namespace touka::network
