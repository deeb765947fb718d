#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace touka::network {

/// A port of the host whose connections or datagrams go to a port of the guest.
struct PortForward {
    enum class Protocol { kTcp, kUdp };
    Protocol protocol = Protocol::kTcp;
    std::uint32_t host_address = 0; ///< first byte highest; 0: all of the host's
    std::uint16_t host_port = 0;
    std::uint32_t guest_address = 0;
    std::uint16_t guest_port = 0;
    bool operator==(const PortForward&) const = default;
};

/// @param text "tcp:127.0.0.1:2222-10.0.2.15:22". Left out, the host's address is 127.0.0.1 (write 0.0.0.0 for
/// all) and the guest's what DHCP gives it: "tcp::2222-:22".
/// @return the forward, or for the user what is wrong with which part.
[[nodiscard]] std::expected<PortForward, std::string> parse_port_forward(std::string_view text);
/// The full form, which parse_port_forward reads back.
[[nodiscard]] std::string to_string(const PortForward& forward);

} // namespace touka::network
