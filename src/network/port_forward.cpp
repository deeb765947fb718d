#include "network/port_forward.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "network/user_network.hpp"

namespace touka::network {

namespace {

std::optional<std::uint32_t> parse_address(std::string_view text) {
    std::uint32_t address = 0;
    for (int part = 0; part < 4; ++part) {
        std::uint8_t byte = 0;
        const auto parsed = std::from_chars(text.begin(), text.end(), byte);
        if (parsed.ec != std::errc{}) return std::nullopt;
        address = address << 8 | byte;
        text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.begin()));
        if (part == 3) break;
        if (!text.starts_with('.')) return std::nullopt;
        text.remove_prefix(1);
    }
    if (!text.empty()) return std::nullopt;
    return address;
}

struct Endpoint {
    std::uint32_t address;
    std::uint16_t port;
};

/// @param text "ADDRESS:PORT", the address perhaps empty.
std::expected<Endpoint, std::string> parse_endpoint(std::string_view text, const char* whose,
                                                    std::uint32_t default_address) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::unexpected(fmt::format("the {} part \"{}\" has no port; write ADDRESS:PORT or :PORT", whose, text));
    }
    Endpoint endpoint{default_address, 0};
    if (const std::string_view address = text.substr(0, colon); !address.empty()) {
        const auto parsed = parse_address(address);
        if (!parsed) {
            return std::unexpected(
                fmt::format("the {} address \"{}\" is no IPv4 address like 127.0.0.1", whose, address));
        }
        endpoint.address = *parsed;
    }
    const std::string_view port = text.substr(colon + 1);
    const auto parsed = std::from_chars(port.begin(), port.end(), endpoint.port);
    if (parsed.ec != std::errc{} || parsed.ptr != port.end() || endpoint.port == 0) {
        return std::unexpected(fmt::format("the {} port \"{}\" is no number from 1 to 65535", whose, port));
    }
    return endpoint;
}

std::string to_text(std::uint32_t address) {
    return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xFF, address >> 8 & 0xFF, address & 0xFF);
}

} // namespace

std::expected<PortForward, std::string> parse_port_forward(std::string_view text) {
    const auto wrong = [&](const std::string& what) {
        return std::unexpected(fmt::format("port forward \"{}\": {} (the form is tcp:127.0.0.1:2222-:22)", text, what));
    };
    PortForward forward;
    std::string_view rest = text;
    if (rest.starts_with("udp:")) {
        forward.protocol = PortForward::Protocol::kUdp;
    } else if (!rest.starts_with("tcp:")) {
        return wrong("it does not begin with tcp: or udp:");
    }
    rest.remove_prefix(4);
    const std::size_t dash = rest.find('-');
    if (dash == std::string_view::npos) return wrong("there is no - between the host's and the guest's part");
    const auto host = parse_endpoint(rest.substr(0, dash), "host", user_network::kLoopback);
    if (!host) return wrong(host.error());
    const auto guest = parse_endpoint(rest.substr(dash + 1), "guest", user_network::kGuest);
    if (!guest) return wrong(guest.error());
    if ((guest->address & user_network::kMask) != user_network::kNetwork) {
        return wrong(fmt::format("the guest address {} is outside of the guest's network {}/24",
                                 to_text(guest->address), to_text(user_network::kNetwork)));
    }
    forward.host_address = host->address;
    forward.host_port = host->port;
    forward.guest_address = guest->address;
    forward.guest_port = guest->port;
    return forward;
}

std::string to_string(const PortForward& forward) {
    return fmt::format("{}:{}:{}-{}:{}", forward.protocol == PortForward::Protocol::kTcp ? "tcp" : "udp",
                       to_text(forward.host_address), forward.host_port, to_text(forward.guest_address),
                       forward.guest_port);
}

} // namespace touka::network
