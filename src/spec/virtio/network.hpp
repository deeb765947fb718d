// Network device. (Virtual I/O Device 1.2 §5.1)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/virtio/virtio.hpp"

namespace touka::spec::virtio {

/// §5.1.3: Feature bits.
inline constexpr std::uint64_t VIRTIO_NET_F_CSUM = feature(0), VIRTIO_NET_F_GUEST_CSUM = feature(1),
                               VIRTIO_NET_F_MAC = feature(5), VIRTIO_NET_F_GUEST_TSO4 = feature(7),
                               VIRTIO_NET_F_GUEST_TSO6 = feature(8), VIRTIO_NET_F_GUEST_ECN = feature(9),
                               VIRTIO_NET_F_HOST_TSO4 = feature(11), VIRTIO_NET_F_HOST_TSO6 = feature(12),
                               VIRTIO_NET_F_HOST_ECN = feature(13), VIRTIO_NET_F_MRG_RXBUF = feature(15),
                               VIRTIO_NET_F_STATUS = feature(16);

/// §5.1.4: struct virtio_net_config, as far as the features above make it exist.
struct [[gnu::packed]] NetworkConfig {
    std::uint8_t mac[6];
    std::uint16_t status;
};
static_assert(sizeof(NetworkConfig) == 8);
inline constexpr std::uint16_t VIRTIO_NET_S_LINK_UP = 1;

/// §5.1.6: struct virtio_net_hdr; with VIRTIO_F_VERSION_1 num_buffers is always there.
struct NetworkHeader {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    std::uint16_t hdr_len = 0;
    std::uint16_t gso_size = 0;
    std::uint16_t csum_start = 0;
    std::uint16_t csum_offset = 0;
    std::uint16_t num_buffers = 0;
};
static_assert(sizeof(NetworkHeader) == 12 && offsetof(NetworkHeader, num_buffers) == 10);
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_NEEDS_CSUM = 1, VIRTIO_NET_HDR_GSO_NONE = 0,
                              VIRTIO_NET_HDR_GSO_TCPV4 = 1, VIRTIO_NET_HDR_GSO_TCPV6 = 4, VIRTIO_NET_HDR_GSO_ECN = 0x80;

/// §5.1.2: Virtqueues, without multiqueue.
inline constexpr unsigned kReceiveQueue = 0, kTransmitQueue = 1;
/// An Ethernet header, and the largest packet with one: 65535 bytes of IP and the header (§5.1.6.3.1).
inline constexpr std::uint32_t kEthernetHeaderBytes = 14, kLargestFrameBytes = 65550;

} // namespace touka::spec::virtio
