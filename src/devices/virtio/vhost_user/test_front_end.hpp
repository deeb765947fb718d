// The other end of a connection, for tests: a guest's memory, rings in it, and the messages that share them.
#pragma once

#include <poll.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "devices/virtio/vhost_user/message_channel.hpp"
#include "runtime/notification.hpp"
#include "runtime/shared_mapping.hpp"
#include "spec/virtio/split_queue.hpp"
#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio::test {

using runtime::SharedMapping;

/// Memory at guest address 0, which the front-end's process has somewhere else.
struct SharedRam {
    static constexpr std::uint64_t kBytes = 1 << 20, kUserAddress = 0x7F00'0000'0000;
    std::pair<runtime::UniqueFd, SharedMapping> file = SharedMapping::create("ram", kBytes).value();
    [[nodiscard]] std::byte* at(std::uint64_t address) const { return file.second.bytes().data() + address; }
    template <class T>
    [[nodiscard]] T load(std::uint64_t address) const {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }
    template <class T>
    void store(std::uint64_t address, const T& value) const {
        std::memcpy(at(address), &value, sizeof value);
    }
};

class TestFrontEnd {
public:
    static constexpr std::uint16_t kQueueSize = 16;

    TestFrontEnd(SharedRam& ram, runtime::UniqueFd socket) : ram_(ram), channel_(std::move(socket)) {}

    static std::pair<runtime::UniqueFd, runtime::UniqueFd> connection() { return runtime::DescriptorSocket::pair(); }

    template <class T>
    bool send(VhostUserRequest request, const T& payload, std::vector<int> descriptors = {}, std::uint32_t flags = 0) {
        return channel_.send(request, flags, payload, descriptors);
    }
    bool send_bytes(VhostUserRequest request, std::uint32_t flags, std::span<const std::byte> payload,
                    const std::vector<int>& descriptors) {
        return channel_.send(request, flags, payload, descriptors);
    }
    /// @return nothing when the connection ended, or nothing came for a second.
    std::optional<VhostUserMessage> receive() {
        pollfd ready{channel_.fd(), POLLIN, 0};
        while (::poll(&ready, 1, 1000) == 1) {
            auto message = channel_.receive();
            if (!message) return std::nullopt;
            if (*message) return std::move(**message);
        }
        return std::nullopt;
    }
    template <class T>
    std::optional<VhostUserMessage> ask(VhostUserRequest request, const T& payload, std::vector<int> descriptors = {}) {
        send(request, payload, std::move(descriptors), spec::virtio::kVhostUserNeedReply);
        return receive();
    }
    /// @return whether the back-end acknowledged with 0.
    template <class T>
    bool tell(VhostUserRequest request, const T& payload, std::vector<int> descriptors = {}) {
        const auto answer = ask(request, payload, std::move(descriptors));
        return answer.has_value() && answer.value().template as<std::uint64_t>() == std::uint64_t{0};
    }
    /// The connection was ended by the other side.
    bool ended() {
        pollfd ready{channel_.fd(), POLLIN, 0};
        while (::poll(&ready, 1, 1000) == 1) {
            const auto message = channel_.receive();
            if (!message) return message.error() == ChannelError::kClosed;
        }
        return false;
    }

    void negotiate(std::uint64_t features) {
        using enum VhostUserRequest;
        send(kSetProtocolFeatures, ~std::uint64_t{0} & kProtocolFeatures);
        send(kSetFeatures, features | spec::virtio::VHOST_USER_F_PROTOCOL_FEATURES | spec::virtio::VIRTIO_F_VERSION_1);
    }
    bool share_memory() {
        struct {
            spec::virtio::VhostUserMemoryHeader header{1, 0};
            spec::virtio::VhostUserMemoryRegion region{0, SharedRam::kBytes, SharedRam::kUserAddress, 0};
        } table;
        return tell(VhostUserRequest::kSetMemTable, table, {ram_.file.first.get()});
    }

    struct Ring {
        unsigned index = 0;
        std::uint64_t descriptors = 0, avail = 0, used = 0;
        std::uint16_t next_descriptor = 0, avail_index = 0;
        runtime::Notification kick, call;
    };
    /// Places the ring in memory of its own, 4 KiB from 64 KiB on.
    void place(Ring& ring, unsigned index) {
        ring.index = index;
        ring.descriptors = 0x1'0000 + 0x1000ull * index;
        ring.avail = ring.descriptors + 0x400;
        ring.used = ring.descriptors + 0x800;
    }
    bool start(Ring& ring, std::uint16_t base = 0) {
        using enum VhostUserRequest;
        const std::uint32_t index = ring.index;
        using State = spec::virtio::VhostUserVringState;
        const auto user = [](std::uint64_t guest) { return SharedRam::kUserAddress + guest; };
        send(kSetVringNum, State{index, kQueueSize});
        send(kSetVringBase, State{index, base});
        send(kSetVringAddr, spec::virtio::VhostUserVringAddress{index, 0, user(ring.descriptors), user(ring.used),
                                                                user(ring.avail), 0});
        send(kSetVringCall, std::uint64_t{index}, {ring.call.fd()});
        send(kSetVringKick, std::uint64_t{index}, {ring.kick.fd()});
        return tell(kSetVringEnable, State{index, 1});
    }
    struct Segment {
        std::uint64_t address;
        std::uint32_t length;
        bool writable;
    };
    void submit(Ring& ring, const std::vector<Segment>& segments) {
        const std::uint16_t head = ring.next_descriptor;
        for (std::size_t i = 0; i < segments.size(); ++i) {
            const std::uint16_t slot = ring.next_descriptor;
            ring.next_descriptor = static_cast<std::uint16_t>((slot + 1) % kQueueSize);
            const auto flags =
                static_cast<std::uint16_t>((segments[i].writable ? 2 : 0) | (i + 1 < segments.size() ? 1 : 0));
            ram_.store(ring.descriptors + 16ull * slot,
                       spec::virtio::Descriptor{segments[i].address, segments[i].length, flags, ring.next_descriptor});
        }
        ram_.store(ring.avail + 4 + 2ull * (ring.avail_index % kQueueSize), head);
        ram_.store(ring.avail + 2, ++ring.avail_index);
        ring.kick.signal();
    }
    [[nodiscard]] std::uint16_t used_index(const Ring& ring) const { return ram_.load<std::uint16_t>(ring.used + 2); }
    /// Waits until the ring's used index is `index`, from call to call. @return whether it became that.
    bool wait_used(const Ring& ring, std::uint16_t index) {
        pollfd ready{ring.call.fd(), POLLIN, 0};
        while (used_index(ring) != index) {
            if (::poll(&ready, 1, 1000) != 1) return false;
            (void)ring.call.consume();
        }
        return true;
    }

    static constexpr std::uint64_t kProtocolFeatures =
        spec::virtio::VHOST_USER_PROTOCOL_F_MQ | spec::virtio::VHOST_USER_PROTOCOL_F_LOG_SHMFD |
        spec::virtio::VHOST_USER_PROTOCOL_F_REPLY_ACK | spec::virtio::VHOST_USER_PROTOCOL_F_CONFIG |
        spec::virtio::VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | spec::virtio::VHOST_USER_PROTOCOL_F_RESET_DEVICE |
        spec::virtio::VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;

private:
    SharedRam& ram_;
    MessageChannel channel_;
};

} // namespace touka::devices::virtio::test
