// The client's end of a connection, for tests: messages by hand, and a served TestDevice at the other end.
#pragma once

#include <poll.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "devices/passthrough/vfio_user/capabilities.hpp"
#include "devices/passthrough/vfio_user/message_channel.hpp"
#include "devices/passthrough/vfio_user/server.hpp"
#include "devices/passthrough/vfio_user/test_device.hpp"

namespace touka::devices::passthrough::test {

namespace wire = spec::vfio_user;

class TestClient {
public:
    explicit TestClient(runtime::UniqueFd socket) : channel_(std::move(socket)) {}

    /// @return nothing when the connection has ended, or nothing came for three seconds.
    std::optional<Message> receive() {
        pollfd ready{channel_.fd(), POLLIN, 0};
        while (true) {
            const int count = ::poll(&ready, 1, 3000);
            if (count < 0 && errno == EINTR) continue; // the fuzzer's alarm
            if (count != 1) return std::nullopt;
            auto message = channel_.receive();
            if (!message) return std::nullopt;
            if (*message) return std::move(**message);
        }
    }
    bool nothing_comes(int wait_ms = 50) {
        pollfd ready{channel_.fd(), POLLIN, 0};
        return ::poll(&ready, 1, wait_ms) == 0;
    }
    void send(Command command, std::span<const std::byte> payload, const std::vector<int>& descriptors = {},
              std::uint32_t flags = 0) {
        (void)channel_.send({++id_, static_cast<std::uint16_t>(command), 0, flags, 0}, payload, descriptors);
    }
    void reply_to(const Message& message, std::span<const std::byte> payload, int error = 0) {
        const std::uint32_t flags = wire::kTypeReply | (error != 0 ? wire::kError : 0);
        (void)channel_.send(
            {message.header.message_id, message.header.command, 0, flags, static_cast<std::uint32_t>(error)}, payload);
    }
    std::optional<Message> ask(Command command, std::span<const std::byte> payload,
                               const std::vector<int>& descriptors = {}) {
        send(command, payload, descriptors);
        return receive();
    }
    template <class T>
    std::optional<Message> ask(Command command, const T& payload, const std::vector<int>& descriptors = {}) {
        return ask(command, bytes_of(payload), descriptors);
    }
    /// The errno of the reply: 0 for success, -1 when there is no reply.
    int tell(Command command, std::span<const std::byte> payload, const std::vector<int>& descriptors = {}) {
        const auto reply = ask(command, payload, descriptors);
        if (!reply || !reply->is_reply() || reply->header.message_id != id_) return -1;
        return (reply->header.flags & wire::kError) != 0 ? static_cast<int>(reply->header.error) : 0;
    }
    template <class T>
    int tell(Command command, const T& payload, const std::vector<int>& descriptors = {}) {
        return tell(command, bytes_of(payload), descriptors);
    }

    std::optional<Message> introduce(const Capabilities& capabilities = wide()) {
        std::vector<std::byte> payload;
        append(payload, wire::Version{0, 1});
        const auto text = write_capabilities(capabilities);
        payload.insert(payload.end(), text.begin(), text.end());
        return ask(Command::kVersion, std::span<const std::byte>(payload));
    }
    static Capabilities wide() {
        Capabilities capabilities;
        capabilities.max_message_descriptors = 16;
        return capabilities;
    }
    int map(std::uint64_t address, std::uint64_t size, std::vector<int> descriptors = {}, std::uint64_t offset = 0,
            std::uint32_t flags = wire::kDmaReadable | wire::kDmaWriteable) {
        return tell(Command::kDmaMap, wire::DmaMap{sizeof(wire::DmaMap), flags, offset, address, size}, descriptors);
    }
    int unmap(std::uint64_t address, std::uint64_t size, std::uint32_t flags = 0) {
        return tell(Command::kDmaUnmap, wire::DmaUnmap{sizeof(wire::DmaUnmap), flags, address, size});
    }
    static std::vector<std::byte> region_write(std::uint32_t region, std::uint64_t offset, std::uint64_t value,
                                               std::uint32_t width) {
        std::vector<std::byte> payload;
        append(payload, wire::RegionAccess{offset, region, width});
        const auto bytes = bytes_of(value).first(width);
        payload.insert(payload.end(), bytes.begin(), bytes.end());
        return payload;
    }
    template <class T>
    int write(std::uint32_t region, std::uint64_t offset, T value) {
        return tell(Command::kRegionWrite,
                    std::span<const std::byte>(region_write(region, offset, value, sizeof value)));
    }
    template <class T>
    std::optional<T> read(std::uint32_t region, std::uint64_t offset) {
        const auto reply = ask(Command::kRegionRead, wire::RegionAccess{offset, region, sizeof(T)});
        return reply ? reply->template at<T>(sizeof(wire::RegionAccess)) : std::nullopt;
    }
    void hang_up() { channel_ = MessageChannel(runtime::UniqueFd()); }

private:
    MessageChannel channel_;
    std::uint16_t id_ = 100;
};

/// A served TestDevice.
class TestServer {
public:
    explicit TestServer(std::chrono::milliseconds memory_limit = std::chrono::milliseconds(500)) {
        server = std::make_unique<VfioUserServer>(reactor, ServedDevice{device, space, &device, &translated},
                                                  VfioUserServer::Settings{memory_limit});
    }
    ~TestServer() {
        reactor.run_and_wait([&] { server->close(); });
        wait_until_idle();
        reactor.run_and_wait([&] { server.reset(); });
    }
    void wait_until_idle() {
        for (bool there = true; there;) reactor.run_and_wait([&] { there = server->connected(); });
    }
    std::size_t grant_count() {
        std::size_t count = 0;
        reactor.run_and_wait([&] { count = space.grant_count(); });
        return count;
    }
    runtime::UniqueFd connect() {
        auto [ours, theirs] = runtime::DescriptorSocket::pair();
        reactor.run_and_wait([&] { server->accept(std::move(theirs)); });
        return std::move(ours);
    }

    MappedDmaSpace space{"test"};
    TranslatedDmaSpace translated{space};
    TestDevice device{translated};
    runtime::Reactor reactor{"vfio-user"};
    std::unique_ptr<VfioUserServer> server;
};

} // namespace touka::devices::passthrough::test
