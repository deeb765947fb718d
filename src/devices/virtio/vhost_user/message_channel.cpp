#include "devices/virtio/vhost_user/message_channel.hpp"

#include <utility>

namespace touka::devices::virtio {

using namespace spec::virtio;

std::expected<bool, ChannelError> MessageChannel::fill(std::span<std::byte> to, std::size_t& have) {
    const auto full = socket_.fill(to, have, message_.descriptors, kDescriptorLimit);
    if (full) return *full;
    return std::unexpected(full.error() == runtime::SocketError::kClosed ? ChannelError::kClosed
                                                                         : ChannelError::kMalformed);
}

std::expected<std::optional<VhostUserMessage>, ChannelError> MessageChannel::receive() {
    const auto header = fill(std::as_writable_bytes(std::span(&header_, 1)), header_bytes_);
    if (!header) return std::unexpected(header.error());
    if (!*header) return std::nullopt;
    if ((header_.flags & kVhostUserVersionMask) != kVhostUserVersion || header_.size > kPayloadLimitBytes) {
        return std::unexpected(ChannelError::kMalformed);
    }
    message_.payload.resize(header_.size);
    const auto payload = fill(message_.payload, payload_bytes_);
    if (!payload) return std::unexpected(payload.error());
    if (!*payload) return std::nullopt;
    message_.request = static_cast<VhostUserRequest>(header_.request);
    message_.flags = header_.flags;
    header_bytes_ = payload_bytes_ = 0;
    return std::exchange(message_, {});
}

bool MessageChannel::send(VhostUserRequest request, std::uint32_t flags, std::span<const std::byte> payload,
                          std::span<const int> descriptors) {
    VhostUserHeader header{static_cast<std::uint32_t>(request), flags | kVhostUserVersion,
                           static_cast<std::uint32_t>(payload.size())};
    // Together in one call: messages are shorter than any socket's buffer, so that a peer that does not read is
    // dropped.
    const auto sent = socket_.send(std::as_bytes(std::span(&header, 1)), payload, descriptors);
    return sent && *sent == sizeof header + payload.size();
}

} // namespace touka::devices::virtio
