#include "network/user_port.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <fstream>
#include <mutex>
#include <sstream>
#include <thread>

#include "network/internet_checksum.hpp"
#include "network/user_network.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/net/ethernet.hpp"
#include "spec/net/ipv4.hpp"
#include "spec/virtio/network_offload.hpp"

namespace touka::network {
namespace {

using namespace spec::net;
using namespace spec::virtio;
namespace addresses = user_network;
using Bytes = std::vector<std::byte>;

constexpr MacBytes kGuestMac{0x52, 0x54, 0, 1, 2, 3};
constexpr std::chrono::seconds kPatience{20};
constexpr std::uint16_t kGuestPort = 40000;
constexpr std::uint32_t kGuestSequence = 1000;

template <class Header>
void append(Bytes& bytes, const Header& header) {
    const auto raw = std::as_bytes(std::span(&header, 1));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
}
template <class Header>
Header header_at(const Bytes& message, std::size_t frame_offset) {
    Header header{};
    if (sizeof(NetworkHeader) + frame_offset + sizeof header > message.size()) return header;
    std::memcpy(&header, message.data() + sizeof(NetworkHeader) + frame_offset, sizeof header);
    return header;
}
constexpr std::size_t kIpAt = sizeof(EthernetHeader), kTransportAt = kIpAt + sizeof(Ipv4Header);

bool is_ip(const Bytes& message, IpProtocol protocol) {
    return header_at<EthernetHeader>(message, 0).type == std::to_underlying(EtherType::kIpv4) &&
           header_at<Ipv4Header>(message, kIpAt).protocol == std::to_underlying(protocol);
}
bool is_tcp(const Bytes& message, std::uint8_t flags) {
    return is_ip(message, IpProtocol::kTcp) && (header_at<TcpHeader>(message, kTransportAt).flags & flags) == flags;
}
std::string tcp_payload(const Bytes& message) {
    const std::size_t offset =
        sizeof(NetworkHeader) + kTransportAt +
        static_cast<std::size_t>(header_at<TcpHeader>(message, kTransportAt).data_offset >> 4) * 4;
    const std::size_t end = sizeof(NetworkHeader) + kIpAt + header_at<Ipv4Header>(message, kIpAt).total_length;
    return {reinterpret_cast<const char*>(message.data()) + offset, end - offset};
}

/// A guest's network stack made by hand.
class UserPortTest : public testing::Test {
protected:
    void start(UserPort::Options options = {}) {
        auto created = UserPort::create(reactor, std::move(options));
        ASSERT_TRUE(created) << created.error();
        port = std::move(*created);
        port->set_receiver([this](std::span<const std::byte> message) {
            const std::scoped_lock lock(mutex);
            if (refuse) {
                refused = true;
            } else {
                received.emplace_back(message.begin(), message.end());
            }
            arrived.notify_all();
            return !refuse;
        });
    }
    bool send(const Bytes& message) {
        const iovec vector{.iov_base = const_cast<std::byte*>(message.data()), .iov_len = message.size()};
        bool sent = false;
        reactor.run_and_wait([&] { sent = port->send({&vector, 1}); });
        return sent;
    }
    /// The next message that fits; others are dropped. Empty when none comes.
    template <class Fits>
    Bytes receive(Fits fits, std::chrono::milliseconds patience = kPatience) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        std::unique_lock lock(mutex);
        while (true) {
            while (!received.empty()) {
                Bytes message = std::move(received.front());
                received.pop_front();
                if (fits(message)) return message;
            }
            if (arrived.wait_until(lock, deadline) == std::cv_status::timeout) return {};
        }
    }

    static Bytes frame(EtherType type, const MacBytes& destination) {
        Bytes message(sizeof(NetworkHeader));
        append(message, EthernetHeader{destination, kGuestMac, std::to_underlying(type)});
        return message;
    }
    /// @return an IP packet whose transport checksum the card has to complete.
    static Bytes packet(IpProtocol protocol, std::uint32_t source, std::uint32_t destination, const Bytes& transport) {
        Bytes message = frame(EtherType::kIpv4, gateway_mac());
        Ipv4Header ip{.version_ihl = kIpv4WithoutOptions,
                      .type_of_service = 0,
                      .total_length = static_cast<std::uint16_t>(sizeof(Ipv4Header) + transport.size()),
                      .identification = 1,
                      .flags_fragment_offset = 0,
                      .time_to_live = 64,
                      .protocol = std::to_underlying(protocol),
                      .checksum = 0,
                      .source = source,
                      .destination = destination};
        ip.checksum = static_cast<std::uint16_t>(~__builtin_bswap16(internet_sum(std::as_bytes(std::span(&ip, 1)))));
        append(message, ip);
        Bytes pseudo;
        append(pseudo, Be32(source));
        append(pseudo, Be32(destination));
        append(pseudo, Be16(std::to_underlying(protocol)));
        append(pseudo, Be16(static_cast<std::uint16_t>(transport.size())));
        message.insert(message.end(), transport.begin(), transport.end());
        NetworkHeader header{};
        header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header.csum_start = kTransportAt;
        header.csum_offset =
            protocol == IpProtocol::kTcp ? offsetof(TcpHeader, checksum) : offsetof(UdpHeader, checksum);
        const std::uint16_t sum = internet_sum(pseudo);
        std::memcpy(message.data() + sizeof header + kTransportAt + header.csum_offset, &sum, sizeof sum);
        std::memcpy(message.data(), &header, sizeof header);
        return message;
    }
    static MacBytes gateway_mac() { return {0x52, 0x55, 10, 0, 2, 2}; }

    /// Also tells the network where the guest is.
    bool resolves_gateway(std::chrono::milliseconds patience = kPatience) {
        Bytes request = frame(EtherType::kArp, kBroadcastMac);
        append(request, ArpPacket{.hardware_type = kArpEthernet,
                                  .protocol_type = std::to_underlying(EtherType::kIpv4),
                                  .hardware_length = 6,
                                  .protocol_length = 4,
                                  .operation = kArpRequest,
                                  .sender_mac = kGuestMac,
                                  .sender_address = addresses::kGuest,
                                  .target_mac = {},
                                  .target_address = addresses::kGateway});
        send(request);
        const Bytes reply = receive(
            [](const Bytes& message) {
                const auto arp = header_at<ArpPacket>(message, kIpAt);
                return header_at<EthernetHeader>(message, 0).type == std::to_underlying(EtherType::kArp) &&
                       arp.operation == kArpReply && arp.sender_address == addresses::kGateway;
            },
            patience);
        return !reply.empty() && header_at<ArpPacket>(reply, kIpAt).sender_mac == gateway_mac();
    }

    bool send_tcp(std::uint16_t source_port, std::uint16_t port_number, std::uint32_t sequence,
                  std::uint32_t acknowledgment, std::uint8_t flags, std::string_view data = "") {
        Bytes transport;
        append(transport, TcpHeader{.source_port = source_port,
                                    .destination_port = port_number,
                                    .sequence = sequence,
                                    .acknowledgment = acknowledgment,
                                    .data_offset = 5 << 4,
                                    .flags = flags,
                                    .window = 65535,
                                    .checksum = 0,
                                    .urgent_pointer = 0});
        const auto bytes = std::as_bytes(std::span(data));
        transport.insert(transport.end(), bytes.begin(), bytes.end());
        return send(packet(IpProtocol::kTcp, addresses::kGuest, addresses::kGateway, transport));
    }
    /// Opens a connection from the guest to the host. @return the sequence number of the host's first byte.
    std::uint32_t connect(std::uint16_t port_number) {
        EXPECT_TRUE(send_tcp(kGuestPort, port_number, kGuestSequence, 0, tcp_flag::SYN));
        const Bytes answer = receive([](const Bytes& m) { return is_tcp(m, tcp_flag::SYN | tcp_flag::ACK); });
        EXPECT_FALSE(answer.empty());
        const std::uint32_t theirs = header_at<TcpHeader>(answer, kTransportAt).sequence + 1;
        EXPECT_TRUE(send_tcp(kGuestPort, port_number, kGuestSequence + 1, theirs, tcp_flag::ACK));
        return theirs;
    }

    runtime::Reactor reactor{"test"};
    std::mutex mutex; // guards the three below
    std::condition_variable arrived;
    std::deque<Bytes> received;
    bool refuse = false, refused = false;
    std::unique_ptr<UserPort> port; // last: gone before what its receiver uses
};

/// A socket of the host on 127.0.0.1, on a port that the kernel chose.
struct HostSocket {
    explicit HostSocket(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
        EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
        EXPECT_EQ(type == SOCK_STREAM ? ::listen(fd.get(), 5) : 0, 0);
        port = ntohs(address.sin_port);
    }
    [[nodiscard]] bool becomes_readable(int timeout_ms) const {
        pollfd ready{.fd = fd.get(), .events = POLLIN, .revents = 0};
        return ::poll(&ready, 1, timeout_ms) == 1;
    }
    runtime::UniqueFd fd;
    std::uint16_t port = 0;
};

std::string read_exactly(int fd, std::size_t count) {
    std::string text(count, '\0');
    const ssize_t got = ::recv(fd, text.data(), count, MSG_WAITALL);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

TEST_F(UserPortTest, OffersAnAddressByDhcp) {
    ASSERT_NO_FATAL_FAILURE(start());
    constexpr std::size_t kBootpBytes = 236;
    Bytes transport;
    append(transport, UdpHeader{68, 67, 8 + kBootpBytes + 4 + 4 + 60, 0});
    Bytes bootp(kBootpBytes);
    bootp[0] = bootp[1] = std::byte{1}; // BOOTREQUEST, Ethernet (RFC 2131 §2)
    bootp[2] = std::byte{6};
    std::memcpy(&bootp[28], kGuestMac.data(), kGuestMac.size());
    for (const int byte : {0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255}) bootp.push_back(static_cast<std::byte>(byte));
    bootp.resize(bootp.size() + 60);
    transport.insert(transport.end(), bootp.begin(), bootp.end());
    ASSERT_TRUE(send(packet(IpProtocol::kUdp, 0, 0xFFFF'FFFF, transport)));

    const Bytes offer = receive([](const Bytes& message) {
        return is_ip(message, IpProtocol::kUdp) && header_at<UdpHeader>(message, kTransportAt).destination_port == 68;
    });
    ASSERT_FALSE(offer.empty());
    EXPECT_EQ(header_at<Be32>(offer, kTransportAt + sizeof(UdpHeader) + 16), addresses::kGuest) << "yiaddr";
    const std::string text(reinterpret_cast<const char*>(offer.data()), offer.size());
    EXPECT_THAT(text, testing::HasSubstr(std::string("\x03\x04\x0A\x00\x02\x02", 6))) << "option 3: the router";
    EXPECT_THAT(text, testing::HasSubstr(std::string("\x06\x04\x0A\x00\x02\x03", 6))) << "option 6: the resolver";
}

TEST_F(UserPortTest, ConnectsTheGuestToAListenerOfTheHost) {
    const HostSocket listener(SOCK_STREAM);
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_TRUE(resolves_gateway());
    const std::uint32_t theirs = connect(listener.port);
    ASSERT_TRUE(
        send_tcp(kGuestPort, listener.port, kGuestSequence + 1, theirs, tcp_flag::ACK | tcp_flag::PSH, "hello"));
    const runtime::UniqueFd host(::accept(listener.fd.get(), nullptr, nullptr));
    EXPECT_EQ(read_exactly(host.get(), 5), "hello");
    ASSERT_EQ(::send(host.get(), "good day", 8, 0), 8);
    const Bytes answer = receive([](const Bytes& m) { return is_tcp(m, tcp_flag::ACK) && !tcp_payload(m).empty(); });
    EXPECT_EQ(tcp_payload(answer), "good day");
    EXPECT_EQ(answer[0], std::byte{0}) << "no checksum offload was negotiated";
}

TEST_F(UserPortTest, OutlivesAGuestThatWritesToAConnectionTheHostClosed) {
    const HostSocket listener(SOCK_STREAM);
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_TRUE(resolves_gateway());
    const std::uint32_t theirs = connect(listener.port);
    ::close(::accept(listener.fd.get(), nullptr, nullptr));
    ASSERT_FALSE(receive([](const Bytes& m) { return is_tcp(m, tcp_flag::FIN); }).empty());
    for (std::uint32_t i = 0; i < 3; ++i) {
        send_tcp(kGuestPort, listener.port, kGuestSequence + 1 + i, theirs + 1, tcp_flag::ACK | tcp_flag::PSH, "x");
        EXPECT_TRUE(resolves_gateway());
    }
    reactor.run_and_wait([&] { EXPECT_EQ(port->restart_count(), 0u); });
}

TEST_F(UserPortTest, TakesOneLargeSegmentFromAGuestThatLeavesCuttingToTheCard) {
    const HostSocket listener(SOCK_STREAM);
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_NE(port->offload_features() & VIRTIO_NET_F_HOST_TSO4, 0u);
    ASSERT_TRUE(resolves_gateway());
    const std::uint32_t theirs = connect(listener.port);
    std::string text(30'000, ' ');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
    ASSERT_TRUE(send_tcp(kGuestPort, listener.port, kGuestSequence + 1, theirs, tcp_flag::ACK, text));
    const runtime::UniqueFd host(::accept(listener.fd.get(), nullptr, nullptr));
    EXPECT_EQ(read_exactly(host.get(), text.size()), text);
}

TEST_F(UserPortTest, JoinsSegmentsForAGuestThatTakesLargeOnes) {
    const HostSocket listener(SOCK_STREAM);
    ASSERT_NO_FATAL_FAILURE(start());
    reactor.run_and_wait([&] { port->set_offloads(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4); });
    ASSERT_TRUE(resolves_gateway());
    std::uint32_t theirs = connect(listener.port);
    const runtime::UniqueFd host(::accept(listener.fd.get(), nullptr, nullptr));
    const std::string text(200'000, 'j');
    std::thread writer([&] { ::send(host.get(), text.data(), text.size(), 0); });
    std::size_t count = 0;
    bool joined = false;
    while (count < text.size()) {
        Bytes message = receive([](const Bytes& m) { return is_tcp(m, tcp_flag::ACK) && !tcp_payload(m).empty(); });
        ASSERT_FALSE(message.empty());
        if (header_at<TcpHeader>(message, kTransportAt).sequence != theirs) continue; // sent again
        const std::size_t length = tcp_payload(message).size();
        joined = joined || (message[1] == std::byte{VIRTIO_NET_HDR_GSO_TCPV4} && length > 1460);
        count += length;
        theirs += static_cast<std::uint32_t>(length);
        send_tcp(kGuestPort, listener.port, kGuestSequence + 1, theirs, tcp_flag::ACK);
    }
    writer.join();
    EXPECT_TRUE(joined);
}

TEST_F(UserPortTest, CarriesDatagrams) {
    const HostSocket socket(SOCK_DGRAM);
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_TRUE(resolves_gateway());
    Bytes transport;
    append(transport, UdpHeader{5000, socket.port, 8 + 4, 0});
    for (const char letter : std::string_view("ping")) transport.push_back(static_cast<std::byte>(letter));
    ASSERT_TRUE(send(packet(IpProtocol::kUdp, addresses::kGuest, addresses::kGateway, transport)));
    sockaddr_in from{};
    socklen_t length = sizeof from;
    std::array<char, 16> text{};
    ASSERT_EQ(::recvfrom(socket.fd.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), &length), 4);
    ASSERT_EQ(::sendto(socket.fd.get(), "pong", 4, 0, reinterpret_cast<sockaddr*>(&from), length), 4);
    const Bytes answer = receive([](const Bytes& m) {
        return is_ip(m, IpProtocol::kUdp) && header_at<UdpHeader>(m, kTransportAt).destination_port == 5000;
    });
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(header_at<Be32>(answer, kTransportAt + sizeof(UdpHeader)), 0x706F'6E67u); // "pong"
}

TEST_F(UserPortTest, ForwardsAPortOfTheHostToTheGuest) {
    std::uint16_t host_port = HostSocket(SOCK_STREAM).port; // was free a moment ago
    UserPort::Options options;
    options.forwards = {*parse_port_forward("tcp::" + std::to_string(host_port) + "-:22")};
    ASSERT_NO_FATAL_FAILURE(start(options));
    ASSERT_TRUE(resolves_gateway());
    const runtime::UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(host_port);
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const Bytes request = receive([](const Bytes& m) { return is_tcp(m, tcp_flag::SYN); });
    ASSERT_FALSE(request.empty());
    EXPECT_EQ(header_at<TcpHeader>(request, kTransportAt).destination_port, 22);
    EXPECT_EQ(header_at<Ipv4Header>(request, kIpAt).destination, addresses::kGuest);
    EXPECT_EQ(header_at<EthernetHeader>(request, 0).destination, kGuestMac);
}

TEST_F(UserPortTest, SaysAtItsStartThatAForwardedPortIsInUse) {
    const HostSocket taken(SOCK_STREAM);
    UserPort::Options options;
    options.forwards = {*parse_port_forward("tcp::" + std::to_string(taken.port) + "-:22")};
    const auto created = UserPort::create(reactor, options);
    ASSERT_FALSE(created);
    EXPECT_THAT(created.error(), testing::HasSubstr(std::to_string(taken.port) + "-10.0.2.15:22: another program"));
}

TEST_F(UserPortTest, SaysThatThereIsNoHelperProgram) {
    UserPort::Options options;
    options.program = "/nowhere/touka-usernet";
    const auto created = UserPort::create(reactor, options);
    ASSERT_FALSE(created);
    EXPECT_THAT(created.error(), testing::HasSubstr("/nowhere/touka-usernet cannot be started"));
}

TEST_F(UserPortTest, RestrictedGuestsReachNothing) {
    const HostSocket listener(SOCK_STREAM);
    UserPort::Options options;
    options.restricted = true;
    ASSERT_NO_FATAL_FAILURE(start(options));
    ASSERT_TRUE(resolves_gateway());
    ASSERT_TRUE(send_tcp(kGuestPort, listener.port, kGuestSequence, 0, tcp_flag::SYN));
    EXPECT_TRUE(resolves_gateway()) << "the request before it has been handled";
    EXPECT_FALSE(listener.becomes_readable(0));
}

TEST_F(UserPortTest, StartsAnotherHelperWhenOneDies) {
    const HostSocket listener(SOCK_STREAM);
    ASSERT_NO_FATAL_FAILURE(start());
    ASSERT_TRUE(resolves_gateway());
    pid_t first = -1;
    reactor.run_and_wait([&] { first = port->helper_pid(); });
    ASSERT_EQ(::kill(first, SIGKILL), 0);
    bool back = false;
    for (int i = 0; i < 200 && !back; ++i) back = resolves_gateway(std::chrono::milliseconds(100));
    EXPECT_TRUE(back);
    reactor.run_and_wait([&] {
        EXPECT_EQ(port->restart_count(), 1u);
        EXPECT_NE(port->helper_pid(), first);
    });
    connect(listener.port);
}

TEST_F(UserPortTest, KeepsAFrameThatTheCardHasNoRoomForUntilItResumes) {
    ASSERT_NO_FATAL_FAILURE(start());
    {
        const std::scoped_lock lock(mutex);
        refuse = true;
    }
    EXPECT_FALSE(resolves_gateway(std::chrono::milliseconds(0)));
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(arrived.wait_for(lock, kPatience, [&] { return refused; }));
        refuse = false;
    }
    reactor.run_and_wait([&] { port->resume(); });
    EXPECT_FALSE(receive([](const Bytes&) { return true; }).empty());
}

TEST_F(UserPortTest, TheHelperHasNoRightsAndEndsWithThePort) {
    ASSERT_NO_FATAL_FAILURE(start());
    pid_t helper = -1;
    reactor.run_and_wait([&] { helper = port->helper_pid(); });
    std::ifstream file("/proc/" + std::to_string(helper) + "/status");
    std::stringstream status;
    status << file.rdbuf();
    EXPECT_THAT(status.str(), testing::HasSubstr("Seccomp:\t2"));
    EXPECT_THAT(status.str(), testing::HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(status.str(), testing::HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_THAT(status.str(), testing::Not(testing::HasSubstr("Uid:\t0")));
    port.reset();
    EXPECT_EQ(::kill(helper, 0), -1);
}

} // namespace
} // namespace touka::network
