// One end of a vhost-user connection: messages with descriptors over a unix socket.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/descriptor_socket.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/virtio/vhost_user.hpp"

namespace touka::devices::virtio {

using spec::virtio::VhostUserRequest;

struct VhostUserMessage {
    VhostUserRequest request{};
    std::uint32_t flags = 0;
    std::vector<std::byte> payload;
    std::vector<runtime::UniqueFd> descriptors;

    /// The payload as a structure, if it is at least as long.
    template <class T>
    [[nodiscard]] std::optional<T> as() const {
        if (payload.size() < sizeof(T)) return std::nullopt;
        T value;
        std::copy_n(payload.begin(), sizeof value, reinterpret_cast<std::byte*>(&value));
        return value;
    }
};

enum class ChannelError {
    kClosed,    ///< by the peer, or broken
    kMalformed, ///< version, size, or more descriptors than any message has: nothing after it can be read
};

/// Frames messages; whatever the peer sends, memory and descriptors stay bounded. Not synchronised.
class MessageChannel {
public:
    static constexpr std::size_t kPayloadLimitBytes = 4096, kDescriptorLimit = spec::virtio::kVhostUserRegionLimit;

    explicit MessageChannel(runtime::UniqueFd socket) : socket_(std::move(socket)) {}
    explicit MessageChannel(runtime::DescriptorSocket socket) : socket_(std::move(socket)) {}
    [[nodiscard]] int fd() const { return socket_.fd(); }

    /// The next message that is complete. @return nothing when it is not here yet; then more comes with EPOLLIN.
    [[nodiscard]] std::expected<std::optional<VhostUserMessage>, ChannelError> receive();
    /// @param descriptors stay the caller's.  @return false when the peer does not take it: the connection is useless.
    [[nodiscard]] bool send(VhostUserRequest request, std::uint32_t flags, std::span<const std::byte> payload,
                            std::span<const int> descriptors = {});
    template <class T>
    [[nodiscard]] bool send(VhostUserRequest request, std::uint32_t flags, const T& payload,
                            std::span<const int> descriptors = {}) {
        return send(request, flags, std::as_bytes(std::span(&payload, 1)), descriptors);
    }

private:
    /// @return whether `to` is full.
    [[nodiscard]] std::expected<bool, ChannelError> fill(std::span<std::byte> to, std::size_t& have);

    runtime::DescriptorSocket socket_;
    spec::virtio::VhostUserHeader header_{};
    std::size_t header_bytes_ = 0, payload_bytes_ = 0; // of the message that is coming in
    VhostUserMessage message_;
};

} // namespace touka::devices::virtio
