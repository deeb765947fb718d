// A virtual card's plug in the host's own network: a tap device.
// Absent: several queues for one device, UDP segmentation, macvtap.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "network/frame_port.hpp"
#include "runtime/reactor.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::network {

enum class TapError {
    kBadName,      ///< empty, too long or with characters that interfaces cannot have
    kNoPermission, ///< neither CAP_NET_ADMIN nor owner of the device
    kInUse,
    kNotATap,      ///< an interface of that name exists and is something else
    kNotSupported, ///< no /dev/net/tun
    kFailed,
};

struct TapFailure {
    TapError error;
    std::string text; ///< for the user: what is wrong and what to do
};

/// Frames to and from a tap device, with the kernel's offloads.
/// An existing device is used as it is; a new one exists for as long as this port. It is brought up if need be.
class TapPort final : public FramePort {
public:
    /// @param reactor outlives the port; frames come and go on its thread.
    [[nodiscard]] static std::expected<std::unique_ptr<TapPort>, TapFailure> open(runtime::Reactor& reactor,
                                                                                  const std::string& interface_name);

    bool send(std::span<const iovec> header_and_frame) override;
    void set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) override;
    void resume() override;
    [[nodiscard]] std::uint64_t offload_features() const override;
    void set_offloads(std::uint64_t features) override;

private:
    static constexpr int kFramesPerTurn = 64;

    TapPort(runtime::Reactor& reactor, runtime::UniqueFd tap);
    void listen();
    void read_frames();

    runtime::Reactor& reactor_;
    runtime::UniqueFd tap_;
    std::function<bool(std::span<const std::byte>)> on_frame_;
    std::vector<std::byte> message_;                 // the last that was read
    std::size_t held_bytes_ = 0;                     // of it, when the card had no room; else 0
    std::unique_ptr<runtime::Reactor::Watch> watch_; // none while a frame is held
};

} // namespace touka::network
