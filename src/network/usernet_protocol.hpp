// What a UserPort and its helper process say to each other over a pair of SOCK_SEQPACKET sockets.
#pragma once

#include <cstddef>

#include "spec/net/ethernet.hpp"
#include "spec/virtio/network_offload.hpp"

namespace touka::network::usernet_protocol {

/// The helper's name, beside the program that starts it, and the descriptor that it finds its socket at.
inline constexpr const char* kProgram = "touka-usernet";
inline constexpr int kSocketFd = 3;
inline constexpr const char* kRestrictedOption = "--restricted";
inline constexpr const char* kForwardOption = "--forward"; ///< followed by to_string(PortForward)

/// First message of the helper, one letter: it is ready; or it is not, and a text for the user follows.
inline constexpr std::byte kReady{'R'}, kRefused{'E'};
/// Message to the helper, two bytes: this letter, and 1 when it may join TCP segments (VIRTIO_NET_F_GUEST_TSO4).
inline constexpr std::byte kJoinSegments{'J'};
/// Every message of this size or more is a virtio_net_hdr and a frame.
inline constexpr std::size_t kSmallestFrameMessageBytes =
    sizeof(spec::virtio::NetworkHeader) + sizeof(spec::net::EthernetHeader);

} // namespace touka::network::usernet_protocol
