// Where a virtual network card is plugged in: Ethernet frames out to the host side and in from it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace touka::network {

/// The host side of a card: a tap device, or the user-mode network. Used from one reactor's thread.
/// Frames are whole Ethernet frames without FCS, each preceded by the 12-byte virtio_net_hdr_v1 header
/// (Virtual I/O Device 1.2 §5.1.6) so that offloads pass through; a port without offloads leaves it zero.
class FramePort {
public:
    virtual ~FramePort() = default;
    /// @return false when the host cannot take the frame now; the card drops it, as a switch would.
    virtual bool send(std::span<const iovec> header_and_frame) = 0;
    /// @param on_frame gets header and frame; returns false when the card has no buffer now. Then the port keeps
    /// the frame, stops reading, and goes on after `resume`. An empty one unplugs the card.
    virtual void set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) = 0;
    virtual void resume() = 0;
    /// virtio-net feature bits (checksum, TSO, ...) that the other side understands in the header.
    [[nodiscard]] virtual std::uint64_t offload_features() const = 0;
    /// The guest's driver chose these of them.
    virtual void set_offloads(std::uint64_t features) = 0;
};

} // namespace touka::network
