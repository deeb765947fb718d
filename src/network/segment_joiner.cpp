#include "network/segment_joiner.hpp"

#include <cstring>
#include <utility>

#include "network/internet_checksum.hpp"

namespace touka::network {

namespace {

using namespace spec::net;
using namespace spec::virtio;

constexpr std::size_t kTcpOffset = sizeof(EthernetHeader) + sizeof(Ipv4Header);
constexpr std::size_t kLargestIpBytes = 65535;

template <class Header>
Header read_at(std::span<const std::byte> bytes, std::size_t offset) {
    Header header;
    std::memcpy(&header, bytes.data() + offset, sizeof header);
    return header;
}

} // namespace

SegmentJoiner::SegmentJoiner(std::function<void(std::span<const std::byte>)> on_message)
    : on_message_(std::move(on_message)), message_(kLargestMessageBytes) {}

void SegmentJoiner::set_joining(bool joining) {
    flush();
    joining_ = joining;
}

bool SegmentJoiner::parse(std::span<const std::byte> frame, Segment& segment) {
    if (frame.size() < kTcpOffset + sizeof(TcpHeader)) return false;
    segment.ethernet = read_at<EthernetHeader>(frame, 0);
    segment.ip = read_at<Ipv4Header>(frame, sizeof(EthernetHeader));
    segment.tcp = read_at<TcpHeader>(frame, kTcpOffset);
    if (segment.ethernet.type != std::to_underlying(EtherType::kIpv4) ||
        segment.ip.version_ihl != kIpv4WithoutOptions || (segment.ip.flags_fragment_offset & kIpv4FragmentBits) != 0 ||
        segment.ip.protocol != std::to_underlying(IpProtocol::kTcp)) {
        return false;
    }
    if ((segment.tcp.flags & ~tcp_flag::PSH) != tcp_flag::ACK) return false;
    const std::size_t tcp_bytes = static_cast<std::size_t>(segment.tcp.data_offset >> 4) * 4;
    segment.header_bytes = kTcpOffset + tcp_bytes;
    if (tcp_bytes < sizeof(TcpHeader) || frame.size() != sizeof(EthernetHeader) + segment.ip.total_length ||
        frame.size() <= segment.header_bytes) {
        return false;
    }
    segment.payload_bytes = frame.size() - segment.header_bytes;
    return true;
}

/// Does it continue what is held back, with nothing different but what segmentation can make again?
bool SegmentJoiner::follows(std::span<const std::byte> frame, const Segment& segment) const {
    if (message_bytes_ == 0 || segment.tcp.sequence != next_sequence_) return false;
    const std::size_t held_ip_bytes = message_bytes_ - sizeof(NetworkHeader) - sizeof(EthernetHeader);
    if (held_ip_bytes + segment.payload_bytes > kLargestIpBytes) return false;
    if (segment.payload_bytes > first_.payload_bytes || segment.header_bytes != first_.header_bytes) return false;
    const bool same_connection = segment.ip.source == first_.ip.source &&
                                 segment.ip.destination == first_.ip.destination &&
                                 segment.tcp.source_port == first_.tcp.source_port &&
                                 segment.tcp.destination_port == first_.tcp.destination_port;
    const bool same_ip = segment.ip.type_of_service == first_.ip.type_of_service &&
                         segment.ip.time_to_live == first_.ip.time_to_live &&
                         segment.ethernet.destination == first_.ethernet.destination &&
                         segment.ethernet.source == first_.ethernet.source;
    const bool same_answer =
        segment.tcp.acknowledgment == first_.tcp.acknowledgment && segment.tcp.window == first_.tcp.window;
    const std::size_t options_at = kTcpOffset + sizeof(TcpHeader);
    return same_connection && same_ip && same_answer &&
           std::memcmp(frame.data() + options_at, message_.data() + sizeof(NetworkHeader) + options_at,
                       segment.header_bytes - options_at) == 0;
}

void SegmentJoiner::add(std::span<const std::byte> frame) {
    Segment segment{};
    if (!joining_ || !parse(frame, segment)) {
        flush();
        return pass(frame);
    }
    if (follows(frame, segment)) {
        const auto payload = frame.subspan(segment.header_bytes);
        std::memcpy(message_.data() + message_bytes_, payload.data(), payload.size());
        message_bytes_ += payload.size();
        flags_ |= segment.tcp.flags;
        ++segment_count_;
    } else {
        flush();
        std::memcpy(message_.data() + sizeof(NetworkHeader), frame.data(), frame.size());
        message_bytes_ = sizeof(NetworkHeader) + frame.size();
        first_ = segment;
        flags_ = segment.tcp.flags;
        segment_count_ = 1;
    }
    next_sequence_ = segment.tcp.sequence + static_cast<std::uint32_t>(segment.payload_bytes);
    // Only the last segment may be a shorter one, and one that is pushed is waited for.
    if (segment.payload_bytes < first_.payload_bytes || (segment.tcp.flags & tcp_flag::PSH) != 0) flush();
}

void SegmentJoiner::pass(std::span<const std::byte> frame) {
    if (frame.size() > kLargestFrameBytes) return;
    const NetworkHeader header{.flags = VIRTIO_NET_HDR_F_DATA_VALID,
                               .gso_type = VIRTIO_NET_HDR_GSO_NONE,
                               .hdr_len = 0,
                               .gso_size = 0,
                               .csum_start = 0,
                               .csum_offset = 0,
                               .num_buffers = 0};
    std::memcpy(message_.data(), &header, sizeof header);
    std::memcpy(message_.data() + sizeof header, frame.data(), frame.size());
    on_message_(std::span(message_).first(sizeof header + frame.size()));
}

void SegmentJoiner::flush() {
    if (message_bytes_ == 0) return;
    NetworkHeader header{};
    header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    if (segment_count_ > 1) {
        write_joined_headers();
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
        header.hdr_len = static_cast<std::uint16_t>(first_.header_bytes);
        header.gso_size = static_cast<std::uint16_t>(first_.payload_bytes);
        header.csum_start = kTcpOffset;
        header.csum_offset = offsetof(TcpHeader, checksum);
    }
    std::memcpy(message_.data(), &header, sizeof header);
    const std::size_t length = std::exchange(message_bytes_, 0);
    on_message_(std::span(message_).first(length));
}

/// One IP packet of all segments. Its TCP checksum is left to be completed, with the pseudo-header's sum there.
void SegmentJoiner::write_joined_headers() {
    std::byte* const frame = message_.data() + sizeof(NetworkHeader);
    const std::size_t ip_bytes = message_bytes_ - sizeof(NetworkHeader) - sizeof(EthernetHeader);
    const std::size_t tcp_bytes = ip_bytes - sizeof(Ipv4Header);

    Ipv4Header ip = first_.ip;
    ip.total_length = static_cast<std::uint16_t>(ip_bytes);
    ip.checksum = 0;
    const std::uint16_t ip_sum = internet_sum(std::as_bytes(std::span(&ip, 1)));
    ip.checksum = static_cast<std::uint16_t>(~__builtin_bswap16(ip_sum));
    std::memcpy(frame + sizeof(EthernetHeader), &ip, sizeof ip);

    struct PseudoHeader {
        Be32 source, destination;
        std::uint8_t zero, protocol;
        Be16 length;
    };
    const PseudoHeader pseudo{ip.source, ip.destination, 0, ip.protocol, static_cast<std::uint16_t>(tcp_bytes)};
    TcpHeader tcp = first_.tcp;
    tcp.flags = flags_;
    tcp.checksum = __builtin_bswap16(internet_sum(std::as_bytes(std::span(&pseudo, 1))));
    std::memcpy(frame + kTcpOffset, &tcp, sizeof tcp);
}

} // namespace touka::network
