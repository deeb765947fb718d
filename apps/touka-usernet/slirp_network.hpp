#pragma once

#include <libslirp.h>
#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "guest_socket.hpp"
#include "network/port_forward.hpp"
#include "network/segment_joiner.hpp"

namespace touka::usernet {

/// The guest's network by libslirp, with its event loop.
class SlirpNetwork {
public:
    SlirpNetwork(GuestSocket& guest, bool restricted);
    SlirpNetwork(const SlirpNetwork&) = delete;
    SlirpNetwork& operator=(const SlirpNetwork&) = delete;

    /// Opens the host's port. @return nothing, or for the user why it cannot be.
    [[nodiscard]] std::expected<void, std::string> add(const network::PortForward& forward);
    /// Serves until the monitor is gone.
    void run();

private:
    struct Cleanup {
        void operator()(Slirp* slirp) const { ::slirp_cleanup(slirp); }
    };
    static const SlirpCb& callbacks();
    void take_message(std::span<std::byte> message);

    GuestSocket& guest_;
    network::SegmentJoiner joiner_;
    std::vector<pollfd> watched_; // the guest's socket first
    std::unique_ptr<Slirp, Cleanup> slirp_;
};

} // namespace touka::usernet
