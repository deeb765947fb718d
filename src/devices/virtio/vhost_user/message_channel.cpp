#include "devices/virtio/vhost_user/message_channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace touka::devices::virtio {

using namespace spec::virtio;

MessageChannel::MessageChannel(runtime::UniqueFd socket) : socket_(std::move(socket)) {
    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
}

std::expected<bool, ChannelError> MessageChannel::fill(std::span<std::byte> to, std::size_t& have) {
    while (have < to.size()) {
        iovec part{to.data() + have, to.size() - have};
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kDescriptorLimit)> control;
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (count <= 0) return std::unexpected(ChannelError::kClosed);
        have += static_cast<std::size_t>(count);
        for (cmsghdr* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr; part_of = CMSG_NXTHDR(&message, part_of)) {
            if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
            for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= part_of->cmsg_len; at += sizeof(int)) {
                int fd = -1;
                std::memcpy(&fd, reinterpret_cast<const std::byte*>(part_of) + at, sizeof fd);
                message_.descriptors.emplace_back(fd);
            }
        }
        const bool cut = (message.msg_flags & MSG_CTRUNC) != 0;
        if (cut || message_.descriptors.size() > kDescriptorLimit) return std::unexpected(ChannelError::kMalformed);
    }
    return true;
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
    std::array<iovec, 2> parts{iovec{&header, sizeof header},
                               iovec{const_cast<std::byte*>(payload.data()), payload.size()}};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * kDescriptorLimit)> control{};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t count = 0;
    do count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    return count == static_cast<ssize_t>(sizeof header + payload.size());
}

} // namespace touka::devices::virtio
