#include "network/user_port.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "network/usernet_protocol.hpp"
#include "spec/virtio/network_offload.hpp"

namespace touka::network {

namespace {

using namespace spec::virtio;
namespace protocol = usernet_protocol;

constexpr int kStartTimeoutMs = 10'000;

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Waits for the helper's first message. @return nothing when it serves, else for the user why it does not.
std::expected<void, std::string> wait_until_serving(UsernetProcess& process) {
    pollfd ready{.fd = process.socket(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kStartTimeoutMs) != 1) return std::unexpected(std::string("user network: it does not start"));
    std::array<std::byte, 1024> status{};
    const ssize_t count = ::recv(process.socket(), status.data(), status.size(), 0);
    if (count > 0 && status[0] == protocol::kReady) return {};
    if (count > 0 && status[0] == protocol::kRefused) {
        return std::unexpected("user network: " +
                               text_of(std::span(status).subspan(1, static_cast<std::size_t>(count) - 1)));
    }
    return std::unexpected(fmt::format("user network: the helper ended at its start: {}", process.end()));
}

} // namespace

std::expected<std::unique_ptr<UserPort>, std::string> UserPort::create(runtime::Reactor& reactor, Options options) {
    std::unique_ptr<UserPort> port(new UserPort(reactor, std::move(options)));
    std::expected<void, std::string> served;
    // The helper dies with the thread that started it: that must be one that lives as long as the port.
    reactor.run_and_wait([&] {
        served = port->start();
        if (served) served = wait_until_serving(*port->process_);
        if (!served) return;
        port->serving_ = true;
        port->listen();
    });
    if (!served) return std::unexpected(served.error());
    return port;
}

UserPort::UserPort(runtime::Reactor& reactor, Options options)
    : reactor_(reactor), options_(std::move(options)), buffers_(kBatch * kLargestMessageBytes) {
    for (std::size_t i = 0; i < kBatch; ++i) {
        vectors_[i] = {.iov_base = buffers_.data() + i * kLargestMessageBytes, .iov_len = kLargestMessageBytes};
        messages_[i].msg_hdr.msg_iov = &vectors_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
    }
    restart_timer_ = reactor_.make_timer([this] { restart(); });
}

UserPort::~UserPort() {
    reactor_.run_and_wait([this] {
        restart_timer_.reset();
        watch_.reset();
        process_.reset();
    });
}

std::expected<void, std::string> UserPort::start() {
    auto process = UsernetProcess::start(options_);
    if (!process) return std::unexpected(process.error());
    process_.emplace(std::move(*process));
    started_ns_ = reactor_.now_ns();
    serving_ = false;
    offloads_announced_ = offloads_ == 0;
    announce_offloads();
    return {};
}

bool UserPort::send(std::span<const iovec> header_and_frame) {
    if (!process_) return false;
    announce_offloads();
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(header_and_frame.data()); // sendmsg only reads them
    message.msg_iovlen = header_and_frame.size();
    return ::sendmsg(process_->socket(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void UserPort::announce_offloads() {
    if (offloads_announced_ || !process_) return;
    const std::array<std::byte, 2> message{protocol::kJoinSegments,
                                           std::byte{(offloads_ & VIRTIO_NET_F_GUEST_TSO4) != 0}};
    offloads_announced_ = ::send(process_->socket(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void UserPort::set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) {
    reactor_.run_and_wait([&] {
        on_frame_ = std::move(on_frame);
        deliver();
    });
}

void UserPort::resume() {
    if (next_message_ < message_count_) deliver();
}

std::uint64_t UserPort::offload_features() const {
    return VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4;
}

void UserPort::set_offloads(std::uint64_t features) {
    offloads_ = features;
    offloads_announced_ = false;
    announce_offloads();
}

void UserPort::listen() {
    if (watch_ || !process_) return;
    watch_ = reactor_.watch(process_->socket(), EPOLLIN, [this](std::uint32_t) { read_batch(); });
}

void UserPort::read_batch() {
    const int count = ::recvmmsg(process_->socket(), messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) {
        if (errno != EAGAIN && errno != EINTR) on_helper_gone();
        return;
    }
    message_count_ = static_cast<std::size_t>(count);
    next_message_ = 0;
    deliver();
}

void UserPort::deliver() {
    for (; next_message_ < message_count_; ++next_message_) {
        const std::size_t length = messages_[next_message_].msg_len;
        if (length == 0) return on_helper_gone(); // the end of a SOCK_SEQPACKET connection reads like this
        auto* const bytes = static_cast<std::byte*>(vectors_[next_message_].iov_base);
        if (take_message({bytes, length})) continue;
        watch_.reset();
        return;
    }
    listen();
}

bool UserPort::take_message(std::span<std::byte> message) {
    if (!serving_) {
        serving_ = message[0] == protocol::kReady;
        if (!serving_) fmt::print(stderr, "touka: user network: {}\n", text_of(message.subspan(1)));
        return true; // refused: its end follows
    }
    if (message.size() < protocol::kSmallestFrameMessageBytes || !on_frame_) return true;
    if ((offloads_ & VIRTIO_NET_F_GUEST_CSUM) == 0) {
        // §5.1.6.4.1: without the feature flags is zero. The frame's checksums are right in any case, as segments
        // are joined only for a driver that has it.
        message[offsetof(NetworkHeader, flags)] = std::byte{0};
    }
    return on_frame_(message);
}

void UserPort::on_helper_gone() {
    watch_.reset();
    message_count_ = next_message_ = 0;
    const std::string reason = process_->end();
    process_.reset();
    const std::uint64_t now_ns = reactor_.now_ns();
    // One that served long enough was sound; one that dies at once will again, and need not be hurried.
    const bool was_sound = serving_ && now_ns - started_ns_ > kLongestDelayNs;
    delay_ns_ = was_sound || restart_count_ == 0 ? kFirstDelayNs : std::min(delay_ns_ * 2, kLongestDelayNs);
    fmt::print(stderr, "touka: user network: the helper ended ({}), starting another\n", reason);
    restart_timer_->arm(now_ns + delay_ns_);
}

void UserPort::restart() {
    ++restart_count_;
    if (auto started = start(); started) {
        listen();
    } else {
        fmt::print(stderr, "touka: {}\n", started.error());
        delay_ns_ = std::min(delay_ns_ * 2, kLongestDelayNs);
        restart_timer_->arm(reactor_.now_ns() + delay_ns_);
    }
}

} // namespace touka::network
