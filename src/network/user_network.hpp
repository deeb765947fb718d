// The network that a guest sees behind a UserPort: addresses that guests of other monitors know, too.
#pragma once

#include <cstdint>

namespace touka::network::user_network {

/// IPv4 addresses as integers, first byte highest.
inline constexpr std::uint32_t kNetwork = 0x0A00'0200;    ///< 10.0.2.0
inline constexpr std::uint32_t kMask = 0xFFFF'FF00;       ///< /24
inline constexpr std::uint32_t kGateway = 0x0A00'0202;    ///< 10.0.2.2: the host itself, its 127.0.0.1
inline constexpr std::uint32_t kNameServer = 0x0A00'0203; ///< 10.0.2.3: the host's resolver
inline constexpr std::uint32_t kGuest = 0x0A00'020F;      ///< 10.0.2.15: what DHCP gives to the guest
inline constexpr std::uint32_t kLoopback = 0x7F00'0001;

} // namespace touka::network::user_network
