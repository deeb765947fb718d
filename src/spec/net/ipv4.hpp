// IPv4 (RFC 791 §3.1), TCP (RFC 9293 §3.1) and UDP (RFC 768) headers.
#pragma once

#include <cstdint>

#include "spec/net/big_endian.hpp"

namespace touka::spec::net {

enum class IpProtocol : std::uint8_t { kIcmp = 1, kTcp = 6, kUdp = 17 };

struct Ipv4Header {
    std::uint8_t version_ihl; ///< version 4 in the high half, header length in 32-bit words in the low half
    std::uint8_t type_of_service;
    Be16 total_length;
    Be16 identification;
    Be16 flags_fragment_offset;
    std::uint8_t time_to_live;
    std::uint8_t protocol;
    Be16 checksum;
    Be32 source, destination;
};
static_assert(sizeof(Ipv4Header) == 20);
/// A header without options, and the bits that say that the packet is a piece of one: MF and the offset.
inline constexpr std::uint8_t kIpv4WithoutOptions = 0x45;
inline constexpr std::uint16_t kIpv4FragmentBits = 0x3FFF;

struct TcpHeader {
    Be16 source_port, destination_port;
    Be32 sequence, acknowledgment;
    std::uint8_t data_offset; ///< header length in 32-bit words, in the high half
    std::uint8_t flags;
    Be16 window, checksum, urgent_pointer;
};
static_assert(sizeof(TcpHeader) == 20);
namespace tcp_flag {
inline constexpr std::uint8_t FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32;
}

struct UdpHeader {
    Be16 source_port, destination_port, length, checksum;
};
static_assert(sizeof(UdpHeader) == 8);

} // namespace touka::spec::net
