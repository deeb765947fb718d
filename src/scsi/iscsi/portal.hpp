// A network portal: a TCP port that listens, and the sockets of its connections. (RFC 7143 §4.4.1)
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/reactor.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

enum class PortalError : std::uint8_t {
    kBadAddress, ///< not "address:port" with a numeric IPv4 address or an IPv6 address in brackets
    kNoSocket,
    kInUse, ///< or an address that this host does not have
};

/// Opened, used and destroyed on the reactor's thread.
class Portal {
public:
    /// @param address "192.0.2.1:3260" or "[2001:db8::1]:3260"; port 0 takes any.
    /// @param reactor and @param entity outlive the portal.
    [[nodiscard]] static std::expected<std::unique_ptr<Portal>, PortalError>
    open(runtime::Reactor& reactor, NetworkEntity& entity, PortalId id, std::string_view address);
    /// Stops listening and ends the connections that came this way.
    ~Portal();
    Portal(const Portal&) = delete;
    Portal& operator=(const Portal&) = delete;

    /// "address:port" as it listens.
    [[nodiscard]] const std::string& address() const;

private:
    class Sockets;
    explicit Portal(std::unique_ptr<Sockets> sockets);

    std::unique_ptr<Sockets> sockets_;
};

} // namespace touka::scsi::iscsi
