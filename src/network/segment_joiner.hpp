#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "spec/net/ethernet.hpp"
#include "spec/net/ipv4.hpp"
#include "spec/virtio/network_offload.hpp"

namespace touka::network {

/// Joins TCP segments that follow each other into one large frame with a segmentation header, as a card does
/// with large receive offload (Virtual I/O Device 1.2 §5.1.6.4): the guest handles one frame instead of forty.
/// Frames leave in the order in which they came. IPv4 without options only; others pass through.
class SegmentJoiner {
public:
    /// @param on_message gets virtio_net_hdr and frame, valid during the call.
    explicit SegmentJoiner(std::function<void(std::span<const std::byte>)> on_message);

    /// Off at first: every frame then leaves at once.
    void set_joining(bool joining);
    /// @param frame a whole Ethernet frame whose checksums are right, at most kLargestFrameBytes.
    void add(std::span<const std::byte> frame);
    /// Sends what is held back; call when no more frames follow for now.
    void flush();

private:
    struct Segment {
        spec::net::EthernetHeader ethernet;
        spec::net::Ipv4Header ip;
        spec::net::TcpHeader tcp;
        std::size_t header_bytes;  ///< all three with TCP options
        std::size_t payload_bytes; ///< more than 0
    };
    static bool parse(std::span<const std::byte> frame, Segment& segment);
    [[nodiscard]] bool follows(std::span<const std::byte> frame, const Segment& segment) const;
    void pass(std::span<const std::byte> frame);
    void write_joined_headers();

    std::function<void(std::span<const std::byte>)> on_message_;
    bool joining_ = false;
    std::vector<std::byte> message_; // virtio_net_hdr and the frame that is held back
    std::size_t message_bytes_ = 0;  // 0: none
    Segment first_{};
    std::uint8_t flags_ = 0; // of all TCP headers
    std::uint32_t next_sequence_ = 0;
    std::uint32_t segment_count_ = 0;
};

} // namespace touka::network
