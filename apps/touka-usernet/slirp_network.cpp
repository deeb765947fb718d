#include "slirp_network.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

#include "network/internet_checksum.hpp"
#include "network/user_network.hpp"
#include "network/usernet_protocol.hpp"

namespace touka::usernet {

namespace {

namespace protocol = network::usernet_protocol;
namespace addresses = network::user_network;

in_addr address_of(std::uint32_t address) { return {.s_addr = htonl(address)}; }

/// libslirp's events and poll's.
constexpr std::array<std::pair<int, short>, 5> kEvents{{{SLIRP_POLL_IN, POLLIN},
                                                        {SLIRP_POLL_OUT, POLLOUT},
                                                        {SLIRP_POLL_PRI, POLLPRI},
                                                        {SLIRP_POLL_ERR, POLLERR},
                                                        {SLIRP_POLL_HUP, POLLHUP}}};

int add_watch(int fd, int events, void* opaque) {
    auto& watched = *static_cast<std::vector<pollfd>*>(opaque);
    short poll_events = 0;
    for (const auto& [theirs, ours] : kEvents) {
        if ((events & theirs) != 0) poll_events = static_cast<short>(poll_events | ours);
    }
    watched.push_back({.fd = fd, .events = poll_events, .revents = 0});
    return static_cast<int>(watched.size()) - 1;
}

int events_of(int index, void* opaque) {
    const short ready = (*static_cast<std::vector<pollfd>*>(opaque))[static_cast<std::size_t>(index)].revents;
    int events = 0;
    for (const auto& [theirs, ours] : kEvents) {
        if ((ready & ours) != 0) events |= theirs;
    }
    return events;
}

std::int64_t now_ns(void*) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

} // namespace

const SlirpCb& SlirpNetwork::callbacks() {
    static const SlirpCb table{
        .send_packet =
            [](const void* frame, std::size_t length, void* opaque) {
                auto& joiner = static_cast<SlirpNetwork*>(opaque)->joiner_;
                joiner.add({static_cast<const std::byte*>(frame), length});
                return static_cast<ssize_t>(length);
            },
        .guest_error = [](const char*, void*) {}, // a guest could fill a log with its errors
        .clock_get_ns = now_ns,
        // Timers are for IPv6's router advertisements alone, which are off.
        .timer_new = [](SlirpTimerCb, void*, void*) -> void* { return nullptr; },
        .timer_free = [](void*, void*) {},
        .timer_mod = [](void*, std::int64_t, void*) {},
        // The descriptors are asked for anew before each poll.
        .register_poll_fd = [](int, void*) {},
        .unregister_poll_fd = [](int, void*) {},
        .notify = [](void*) {},
        .init_completed = nullptr,
        .timer_new_opaque = nullptr,
    };
    return table;
}

SlirpNetwork::SlirpNetwork(GuestSocket& guest, bool restricted)
    : guest_(guest), joiner_([&guest](std::span<const std::byte> message) { guest.send(message); }) {
    SlirpConfig config{};
    config.version = 1;
    config.restricted = restricted ? 1 : 0;
    config.in_enabled = true;
    config.vnetwork = address_of(addresses::kNetwork);
    config.vnetmask = address_of(addresses::kMask);
    config.vhost = address_of(addresses::kGateway);
    config.vdhcp_start = address_of(addresses::kGuest);
    config.vnameserver = address_of(addresses::kNameServer);
    slirp_.reset(::slirp_new(&config, &callbacks(), this));
}

std::expected<void, std::string> SlirpNetwork::add(const network::PortForward& forward) {
    const int is_udp = forward.protocol == network::PortForward::Protocol::kUdp ? 1 : 0;
    errno = 0;
    if (::slirp_add_hostfwd(slirp_.get(), is_udp, address_of(forward.host_address), forward.host_port,
                            address_of(forward.guest_address), forward.guest_port) == 0) {
        return {};
    }
    const int error = errno;
    const char* const advice = error == EADDRINUSE      ? "another program has this port; choose another one"
                               : error == EADDRNOTAVAIL ? "this host does not have this address"
                               : error == EACCES        ? "ports below 1024 are for the administrator"
                                                        : std::strerror(error);
    return std::unexpected(fmt::format("port forward {}: {}", to_string(forward), advice));
}

void SlirpNetwork::run() {
    constexpr std::uint32_t kLongestMs = 60'000;
    bool monitor_there = true;
    while (monitor_there) {
        watched_.assign(1, {.fd = guest_.fd(), .events = POLLIN, .revents = 0});
        std::uint32_t timeout_ms = kLongestMs;
        ::slirp_pollfds_fill(slirp_.get(), &timeout_ms, add_watch, &watched_);
        const int ready = ::poll(watched_.data(), watched_.size(), static_cast<int>(timeout_ms));
        if (ready < 0 && errno != EINTR) return;
        ::slirp_pollfds_poll(slirp_.get(), ready < 0 ? 1 : 0, events_of, &watched_);
        if (ready > 0 && watched_[0].revents != 0) {
            monitor_there = guest_.receive([this](std::span<std::byte> message) { take_message(message); });
        }
        joiner_.flush();
    }
}

void SlirpNetwork::take_message(std::span<std::byte> message) {
    if (message.size() == 2 && message[0] == protocol::kJoinSegments)
        return joiner_.set_joining(message[1] != std::byte{0});
    if (message.size() < protocol::kSmallestFrameMessageBytes || !network::complete_checksum(message)) return;
    const auto frame = message.subspan(sizeof(spec::virtio::NetworkHeader));
    ::slirp_input(slirp_.get(), reinterpret_cast<const std::uint8_t*>(frame.data()), static_cast<int>(frame.size()));
}

} // namespace touka::usernet
