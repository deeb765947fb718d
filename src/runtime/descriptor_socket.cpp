#include "runtime/descriptor_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace touka::runtime {

namespace {

constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int) * DescriptorSocket::kDescriptorLimit);

void take_descriptors(msghdr& message, std::vector<UniqueFd>& descriptors) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, reinterpret_cast<const std::byte*>(part) + at, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
}

} // namespace

DescriptorSocket::DescriptorSocket(UniqueFd socket) : socket_(std::move(socket)) {
    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
}

std::expected<DescriptorSocket, std::string> DescriptorSocket::dial(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return std::unexpected(path + ": too long for a socket");
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        return std::unexpected(path + ": " + std::strerror(errno));
    }
    return DescriptorSocket(std::move(socket));
}

std::pair<UniqueFd, UniqueFd> DescriptorSocket::pair() {
    std::array<int, 2> ends{-1, -1};
    (void)!::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data());
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::expected<bool, SocketError> DescriptorSocket::fill(std::span<std::byte> to, std::size_t& have,
                                                        std::vector<UniqueFd>& descriptors,
                                                        std::size_t descriptor_limit) {
    while (have < to.size()) {
        iovec part{to.data() + have, to.size() - have};
        alignas(cmsghdr) std::array<std::byte, kControlBytes> control;
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
        if (count <= 0) return std::unexpected(SocketError::kClosed);
        have += static_cast<std::size_t>(count);
        take_descriptors(message, descriptors);
        const bool cut = (message.msg_flags & MSG_CTRUNC) != 0;
        if (cut || descriptors.size() > descriptor_limit) return std::unexpected(SocketError::kTooManyDescriptors);
    }
    return true;
}

std::expected<std::size_t, SocketError> DescriptorSocket::send(std::span<const std::byte> first,
                                                               std::span<const std::byte> second,
                                                               std::span<const int> descriptors) {
    std::array<iovec, 2> parts{iovec{const_cast<std::byte*>(first.data()), first.size()},
                               iovec{const_cast<std::byte*>(second.data()), second.size()}};
    alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    if (descriptors.size() > kDescriptorLimit) return std::unexpected(SocketError::kTooManyDescriptors);
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
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0u;
    return std::unexpected(SocketError::kClosed);
}

} // namespace touka::runtime
