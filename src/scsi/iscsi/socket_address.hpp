#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

namespace touka::scsi::iscsi {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_storage);

    [[nodiscard]] sockaddr* generic() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// "address:port" with a numeric IPv4 address, or an IPv6 address in brackets.
[[nodiscard]] std::optional<SocketAddress> parse_socket_address(std::string_view text);
/// The same way round; empty for other families.
[[nodiscard]] std::string to_string(const SocketAddress& address);

} // namespace touka::scsi::iscsi
