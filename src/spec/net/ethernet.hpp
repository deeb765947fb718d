// Ethernet frames and address resolution. (IEEE 802.3-2018 §3.1.1; RFC 826)
#pragma once

#include <array>
#include <cstdint>

#include "spec/net/big_endian.hpp"

namespace touka::spec::net {

using MacBytes = std::array<std::uint8_t, 6>;
inline constexpr MacBytes kBroadcastMac{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
/// First byte of an address: group bit, and locally administered bit. (IEEE 802-2014 §8.2)
inline constexpr std::uint8_t kMacGroup = 1, kMacLocal = 2;

enum class EtherType : std::uint16_t { kIpv4 = 0x0800, kArp = 0x0806 };

struct EthernetHeader {
    MacBytes destination;
    MacBytes source;
    Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

/// RFC 826 for Ethernet (hardware type 1) and IPv4.
struct ArpPacket {
    Be16 hardware_type, protocol_type;
    std::uint8_t hardware_length, protocol_length;
    Be16 operation;
    MacBytes sender_mac;
    Be32 sender_address;
    MacBytes target_mac;
    Be32 target_address;
};
static_assert(sizeof(ArpPacket) == 28);
inline constexpr std::uint16_t kArpEthernet = 1, kArpRequest = 1, kArpReply = 2;

} // namespace touka::spec::net
