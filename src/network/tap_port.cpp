#include "network/tap_port.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "spec/virtio/network_offload.hpp"

namespace touka::network {

namespace {

using namespace spec::virtio;

std::unexpected<TapFailure> failure(TapError error, std::string text) {
    return std::unexpected(TapFailure{error, std::move(text)});
}

std::unexpected<TapFailure> failure_of_device(int error) {
    if (error == EACCES || error == EPERM) {
        return failure(TapError::kNoPermission, "/dev/net/tun: no permission; run as a user who may open it");
    }
    return failure(TapError::kNotSupported,
                   fmt::format("/dev/net/tun: {}; the host has no tap devices (modprobe tun)", std::strerror(error)));
}

std::unexpected<TapFailure> failure_of_attach(const std::string& name, int error) {
    switch (error) {
        case EPERM:
        case EACCES:
            return failure(
                TapError::kNoPermission,
                fmt::format("{}: no permission; make it yours with: ip tuntap add {} mode tap user $USER", name, name));
        case EBUSY: return failure(TapError::kInUse, fmt::format("{}: another program has this tap device", name));
        case EINVAL:
            return failure(TapError::kNotATap,
                           fmt::format("{}: exists and is no tap device (or one of several queues)", name));
        default: return failure(TapError::kFailed, fmt::format("{}: {}", name, std::strerror(error)));
    }
}

bool is_name(const std::string& name) {
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
           std::ranges::none_of(
               name, [](unsigned char c) { return c <= ' ' || c > '~' || c == '/' || c == ':' || c == '%'; });
}

ifreq request_for(const std::string& name) {
    ifreq request{};
    std::copy(name.begin(), name.end(), request.ifr_name);
    return request;
}

/// @return 0 or errno.
int bring_up(const std::string& name) {
    const runtime::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = request_for(name);
    if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return errno;
    if ((request.ifr_flags & IFF_UP) != 0) return 0;
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0 ? 0 : errno;
}

} // namespace

std::expected<std::unique_ptr<TapPort>, TapFailure> TapPort::open(runtime::Reactor& reactor,
                                                                  const std::string& interface_name) {
    if (!is_name(interface_name)) {
        return failure(TapError::kBadName,
                       fmt::format("\"{}\" is no name for an interface: 1 to {} letters, digits or signs like - _ .",
                                   interface_name, IFNAMSIZ - 1));
    }
    runtime::UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!tap) return failure_of_device(errno);
    ifreq request = request_for(interface_name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) return failure_of_attach(interface_name, errno);
    const int header_bytes = sizeof(NetworkHeader);
    if (::ioctl(tap.get(), TUNSETVNETHDRSZ, &header_bytes) != 0 || ::ioctl(tap.get(), TUNSETOFFLOAD, 0) != 0) {
        return failure_of_attach(interface_name, errno);
    }
    if (const int error = bring_up(interface_name); error != 0) return failure_of_attach(interface_name, error);
    return std::unique_ptr<TapPort>(new TapPort(reactor, std::move(tap)));
}

TapPort::TapPort(runtime::Reactor& reactor, runtime::UniqueFd tap)
    : reactor_(reactor), tap_(std::move(tap)), message_(kLargestMessageBytes) {}

bool TapPort::send(std::span<const iovec> header_and_frame) {
    return ::writev(tap_.get(), header_and_frame.data(), static_cast<int>(header_and_frame.size())) >= 0;
}

void TapPort::set_receiver(std::function<bool(std::span<const std::byte>)> on_frame) {
    reactor_.run_and_wait([&] {
        on_frame_ = std::move(on_frame);
        if (on_frame_) {
            listen();
        } else {
            watch_.reset();
        }
    });
}

void TapPort::resume() {
    if (held_bytes_ == 0 || !on_frame_) return;
    if (!on_frame_(std::span(message_).first(held_bytes_))) return;
    held_bytes_ = 0;
    listen();
}

void TapPort::listen() {
    if (watch_ || held_bytes_ != 0) return;
    watch_ = reactor_.watch(tap_.get(), EPOLLIN, [this](std::uint32_t) { read_frames(); });
}

void TapPort::read_frames() {
    for (int i = 0; i < kFramesPerTurn; ++i) {
        const ssize_t count = ::read(tap_.get(), message_.data(), message_.size());
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count < static_cast<ssize_t>(sizeof(NetworkHeader))) {
            watch_.reset(); // the interface was deleted: the cable is out for good
            return;
        }
        const std::size_t length = static_cast<std::size_t>(count);
        if (on_frame_(std::span(message_).first(length))) continue;
        held_bytes_ = length;
        watch_.reset();
        return;
    }
}

std::uint64_t TapPort::offload_features() const {
    return VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |
           VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN;
}

void TapPort::set_offloads(std::uint64_t features) {
    unsigned flags = 0;
    if ((features & VIRTIO_NET_F_GUEST_CSUM) != 0) { // the others need it (§5.1.3.1)
        flags |= TUN_F_CSUM;
        if ((features & VIRTIO_NET_F_GUEST_TSO4) != 0) flags |= TUN_F_TSO4;
        if ((features & VIRTIO_NET_F_GUEST_TSO6) != 0) flags |= TUN_F_TSO6;
        const bool segments = (flags & (TUN_F_TSO4 | TUN_F_TSO6)) != 0;
        if (segments && (features & VIRTIO_NET_F_GUEST_ECN) != 0) flags |= TUN_F_TSO_ECN;
    }
    ::ioctl(tap_.get(), TUNSETOFFLOAD, flags);
}

} // namespace touka::network
