#include "network/tap_port.hpp"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <future>

#include "spec/net/ethernet.hpp"
#include "spec/virtio/network_offload.hpp"

namespace touka::network {
namespace {

using Bytes = std::vector<std::byte>;
constexpr int kSkip = 77;
constexpr std::uint16_t kExperimental = 0x88B5; // IEEE 802 Local Experimental Ethertype 1
constexpr std::size_t kFrameBytes = 60;

/// Runs `body` in a child with a network namespace of its own. @return its exit status; kSkip without the right.
int in_own_network(int (*body)()) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::unshare(CLONE_NEWNET) == 0 ? body() : kSkip);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Bytes message_with(std::string_view text) {
    Bytes message(sizeof(spec::virtio::NetworkHeader) + kFrameBytes);
    const spec::net::EthernetHeader ethernet{spec::net::kBroadcastMac, {2, 0, 0, 0, 0, 1}, kExperimental};
    std::byte* const frame = message.data() + sizeof(spec::virtio::NetworkHeader);
    std::memcpy(frame, &ethernet, sizeof ethernet);
    std::memcpy(frame + sizeof ethernet, text.data(), text.size());
    return message;
}

/// The host's side of the interface.
runtime::UniqueFd packet_socket(const char* interface_name) {
    runtime::UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kExperimental)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kExperimental);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface_name));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) socket.reset();
    return socket;
}

int exchange_frames() {
    runtime::Reactor reactor("test");
    auto opened = TapPort::open(reactor, "touka-test");
    if (!opened) return opened.error().error == TapError::kNotSupported ? kSkip : 1;
    TapPort& port = **opened;
    const runtime::UniqueFd host = packet_socket("touka-test");
    if (!host) return 2;

    Bytes out = message_with("from the guest");
    const iovec vector{.iov_base = out.data(), .iov_len = out.size()};
    bool sent = false;
    reactor.run_and_wait([&] { sent = port.send({&vector, 1}); });
    Bytes frame(100);
    if (!sent || ::recv(host.get(), frame.data(), frame.size(), 0) != ssize_t{kFrameBytes}) return 3;
    if (std::memcmp(frame.data(), out.data() + sizeof(spec::virtio::NetworkHeader), kFrameBytes) != 0) return 4;

    // The card has no room for the first frame, and takes it after resume, before the second.
    std::promise<void> refused;
    std::promise<std::vector<Bytes>> taken;
    std::vector<Bytes> frames;
    bool room = false;
    port.set_receiver([&](std::span<const std::byte> message) {
        if (message[sizeof(spec::virtio::NetworkHeader) + 12] != std::byte{kExperimental >> 8})
            return true; // IPv6's own
        if (!room) {
            refused.set_value();
            return false;
        }
        frames.emplace_back(message.begin(), message.end());
        if (frames.size() == 2) taken.set_value(frames);
        return true;
    });
    const Bytes first = message_with("first"), second = message_with("second");
    for (const Bytes& message : {first, second}) {
        if (::send(host.get(), message.data() + sizeof(spec::virtio::NetworkHeader), kFrameBytes, 0) !=
            ssize_t{kFrameBytes})
            return 5;
    }
    refused.get_future().wait();
    reactor.run_and_wait([&] {
        room = true;
        port.resume();
    });
    const bool in_order = taken.get_future().get() == std::vector{first, second};
    port.set_receiver(nullptr);
    return in_order ? 0 : 6;
}

int refuse_a_second_user() {
    runtime::Reactor reactor("test");
    const auto first = TapPort::open(reactor, "touka-test");
    if (!first) return first.error().error == TapError::kNotSupported ? kSkip : 1;
    const auto second = TapPort::open(reactor, "touka-test");
    if (second || second.error().error != TapError::kInUse) return 2;
    const auto loopback = TapPort::open(reactor, "lo");
    return !loopback && loopback.error().error == TapError::kNotATap ? 0 : 3;
}

int refuse_another_user() {
    // The namespace belongs to root: nobody may neither make nor take a device in it.
    if (::setresuid(65534, 65534, 65534) != 0) return kSkip;
    runtime::Reactor reactor("test");
    const auto opened = TapPort::open(reactor, "touka-test");
    return !opened && opened.error().error == TapError::kNoPermission ? 0 : 1;
}

TEST(TapPort, ExchangesFramesWithTheHostInOrder) {
    const int status = in_own_network(exchange_frames);
    if (status == kSkip) GTEST_SKIP() << "needs the right to make network namespaces and tap devices";
    EXPECT_EQ(status, 0);
}

TEST(TapPort, SaysThatADeviceIsInUseOrNoTap) {
    const int status = in_own_network(refuse_a_second_user);
    if (status == kSkip) GTEST_SKIP() << "needs the right to make network namespaces and tap devices";
    EXPECT_EQ(status, 0);
}

TEST(TapPort, SaysThatPermissionIsMissing) {
    const int status = in_own_network(refuse_another_user);
    if (status == kSkip) GTEST_SKIP() << "needs root, to become another user";
    EXPECT_EQ(status, 0);
}

TEST(TapPort, RefusesNamesThatInterfacesCannotHave) {
    runtime::Reactor reactor("test");
    for (const char* name : {"", "sixteen-letters-", "a/b", "a b", "tap%d", "."}) {
        const auto opened = TapPort::open(reactor, name);
        ASSERT_FALSE(opened) << name;
        EXPECT_EQ(opened.error().error, TapError::kBadName) << name;
    }
}

} // namespace
} // namespace touka::network
