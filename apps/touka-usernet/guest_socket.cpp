#include "guest_socket.hpp"

#include <poll.h>

#include <cerrno>
#include <string>

#include "network/usernet_protocol.hpp"

namespace touka::usernet {

namespace protocol = network::usernet_protocol;
using spec::virtio::kLargestMessageBytes;

GuestSocket::GuestSocket(int fd) : fd_(fd), buffers_(kBatch * kLargestMessageBytes) {
    for (std::size_t i = 0; i < kBatch; ++i) {
        vectors_[i] = {.iov_base = buffers_.data() + i * kLargestMessageBytes, .iov_len = kLargestMessageBytes};
        messages_[i].msg_hdr.msg_iov = &vectors_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
    }
}

void GuestSocket::report_ready() { send({&protocol::kReady, 1}); }

void GuestSocket::report_refusal(std::string_view text) {
    std::string message{static_cast<char>(protocol::kRefused)};
    message += text;
    send(std::as_bytes(std::span(message)));
}

bool GuestSocket::receive(const std::function<void(std::span<std::byte>)>& on_message) {
    const int count = ::recvmmsg(fd_, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        const std::size_t length = messages_[i].msg_len;
        if (length == 0) return false; // the end of a SOCK_SEQPACKET connection reads like this
        if ((messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
        on_message({static_cast<std::byte*>(vectors_[i].iov_base), length});
    }
    return true;
}

void GuestSocket::send(std::span<const std::byte> message) {
    while (::send(fd_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return; // the monitor is gone, as the next receive will say
        pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
        if (::poll(&room, 1, kPatienceMs) == 0) return;
    }
}

} // namespace touka::usernet
