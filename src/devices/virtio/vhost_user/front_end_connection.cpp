// How a VhostUserScsi finds its back-end and tells it everything.
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "devices/virtio/vhost_user/front_end.hpp"
#include "spec/virtio/split_queue.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using enum VhostUserRequest;

namespace {

constexpr std::uint64_t kWantedProtocolFeatures = VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |
                                                  VHOST_USER_PROTOCOL_F_CONFIG | VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
                                                  VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_LOG_SHMFD;
constexpr std::uint64_t kNeededProtocolFeatures =
    VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_CONFIG;
constexpr std::uint64_t kQueueLimit = 256 + kScsiFirstRequestQueue;

/// Sends a question and waits for its answer, before there is a reactor to do so.
template <class T>
std::expected<VhostUserMessage, std::string> ask_now(MessageChannel& channel, VhostUserRequest request,
                                                     const T& payload, std::uint32_t limit_ms) {
    if (!channel.send(request, 0, payload)) return std::unexpected("the back-end does not take messages");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (std::chrono::steady_clock::now() < deadline) {
        auto message = channel.receive();
        if (!message) return std::unexpected("the back-end ended the connection");
        if (*message && (*message)->request == request) return std::move(**message);
        if (*message) return std::unexpected("the back-end answers something else");
        pollfd ready{channel.fd(), POLLIN, 0};
        (void)::poll(&ready, 1, 100);
    }
    return std::unexpected("the back-end does not answer");
}

} // namespace

std::expected<std::unique_ptr<VhostUserScsi>, std::string>
VhostUserScsi::create(const VhostUserConfiguration& configuration, memory::GuestMemory& memory) {
    auto channel = dial(configuration.socket_path);
    if (!channel) return std::unexpected(channel.error());
    const auto nature = ask_nature(**channel, configuration.answer_limit_ms);
    if (!nature) return std::unexpected(configuration.socket_path + ": " + nature.error());
    return std::unique_ptr<VhostUserScsi>(new VhostUserScsi(configuration, memory, std::move(*channel), *nature));
}

std::expected<std::unique_ptr<MessageChannel>, std::string> VhostUserScsi::dial(const std::string& path) {
    auto socket = runtime::DescriptorSocket::dial(path);
    if (!socket) return std::unexpected(socket.error());
    return std::make_unique<MessageChannel>(std::move(*socket));
}

std::expected<VhostUserScsi::Nature, std::string> VhostUserScsi::ask_nature(MessageChannel& channel,
                                                                            std::uint32_t answer_limit_ms) {
    Nature nature;
    const auto number = [&](VhostUserRequest request) -> std::expected<std::uint64_t, std::string> {
        const auto answer = ask_now(channel, request, std::uint64_t{0}, answer_limit_ms);
        if (!answer) return std::unexpected(answer.error());
        if (const auto value = answer->as<std::uint64_t>()) return *value;
        return std::unexpected("the back-end gives a short answer");
    };
    const auto features = number(kGetFeatures);
    if (!features) return std::unexpected(features.error());
    if ((*features & VHOST_USER_F_PROTOCOL_FEATURES) == 0) return std::unexpected("the back-end is too old");
    nature.features = *features;
    const auto protocol_features = number(kGetProtocolFeatures);
    if (!protocol_features) return std::unexpected(protocol_features.error());
    nature.protocol_features = *protocol_features & kWantedProtocolFeatures;
    if ((nature.protocol_features & kNeededProtocolFeatures) != kNeededProtocolFeatures) {
        return std::unexpected("the back-end lacks MQ, REPLY_ACK or CONFIG");
    }
    if (!channel.send(kSetProtocolFeatures, 0, nature.protocol_features)) return std::unexpected("connection lost");
    const auto queue_count = number(kGetQueueNum);
    if (!queue_count) return std::unexpected(queue_count.error());
    if (*queue_count <= kScsiFirstRequestQueue || *queue_count > kQueueLimit) {
        return std::unexpected("the back-end has " + std::to_string(*queue_count) + " queues");
    }
    nature.queue_count = *queue_count;
    struct {
        VhostUserConfigHeader header{0, sizeof(ScsiConfig), 0};
        ScsiConfig config{};
    } access;
    const auto config = ask_now(channel, kGetConfig, access, answer_limit_ms);
    if (!config) return std::unexpected(config.error());
    if (config->payload.size() != sizeof access) return std::unexpected("the back-end has no SCSI configuration");
    std::memcpy(&access, config->payload.data(), sizeof access);
    nature.config = access.config;
    return nature;
}

// --- the connection (reactor) ---

void VhostUserScsi::watch_channel() {
    watch_ = transport_->reactor().watch(channel_->fd(), EPOLLIN, [this](std::uint32_t) { on_readable(); });
}

void VhostUserScsi::on_readable() {
    while (channel_) {
        auto message = channel_->receive();
        if (!message || lost_) return on_lost();
        if (!*message) return;
        const auto expected = std::ranges::find(replies_, (*message)->request, &Expected::request);
        if (expected != replies_.begin() || replies_.empty()) return on_lost(); // answers come in order
        const Expected answered = std::move(replies_.front());
        replies_.pop_front();
        if (answered.epoch == epoch_) answered.on_reply(**message);
    }
}

void VhostUserScsi::on_lost() {
    lost_ = introduced_ = false;
    watch_.reset();
    channel_.reset();
    replies_.clear();
    // A reset needs no answer from a back-end that is gone; rings that were to come to rest are asked again.
    while (!stopping_ && outstanding_ > 0) finish_one();
    timer_->arm(transport_->reactor().now_ns() + configuration_.retry_ms * std::uint64_t{1'000'000});
}

void VhostUserScsi::reconnect() {
    if (channel_) return;
    auto channel = dial(configuration_.socket_path);
    if (!channel) {
        timer_->arm(transport_->reactor().now_ns() + configuration_.retry_ms * std::uint64_t{1'000'000});
        return;
    }
    channel_ = std::move(*channel);
    watch_channel();
    introduce();
}

void VhostUserScsi::introduce() {
    send(kSetOwner, std::uint64_t{0});
    send(kSetProtocolFeatures, nature_.protocol_features);
    // A back-end that has become another device cannot go on with this driver.
    ask(kGetFeatures, std::uint64_t{0}, [this](VhostUserMessage& message) {
        if ((message.as<std::uint64_t>().value_or(0) & nature_.features) != nature_.features) lost_ = true;
    });
    share_log();
    share_memory();
    {
        auto config = config_.lock();
        for (const std::size_t offset : {offsetof(ScsiConfig, sense_size), offsetof(ScsiConfig, cdb_size)}) {
            struct {
                VhostUserConfigHeader header;
                std::uint32_t value;
            } access{{static_cast<std::uint32_t>(offset), sizeof(std::uint32_t), 0}, 0};
            std::memcpy(&access.value, reinterpret_cast<const std::byte*>(&*config) + offset, sizeof access.value);
            send(kSetConfig, access);
        }
    }
    for (const auto& ring : rings_) {
        // How far a back-end got that is gone: to here, beside what it left in the buffer.
        const auto used = memory_.span(memory::GuestAddress{ring->queue.setup.device_area.value}, kUsedRingOffset);
        if (ring->running && !used.empty()) std::memcpy(&ring->base, used.data() + kUsedIndexOffset, sizeof ring->base);
    }
    if (std::ranges::any_of(rings_, [](const auto& ring) { return ring->running; })) begin_rings();
}

void VhostUserScsi::share_memory() {
    struct {
        VhostUserMemoryHeader header{};
        std::array<VhostUserMemoryRegion, kVhostUserRegionLimit> regions{};
    } table;
    std::vector<int> descriptors;
    for (const memory::RamRange& range : memory_.ranges()) {
        table.regions.at(descriptors.size()) = {.guest_address = range.start.value,
                                                .size = range.length_bytes,
                                                .user_address =
                                                    reinterpret_cast<std::uint64_t>(memory_.base()) + range.start.value,
                                                .mmap_offset = range.file_offset};
        descriptors.push_back(memory_.fd());
    }
    table.header.region_count = static_cast<std::uint32_t>(descriptors.size());
    const auto bytes = std::as_bytes(std::span(&table, 1))
                           .first(sizeof table.header + descriptors.size() * sizeof(VhostUserMemoryRegion));
    if (channel_ && !channel_->send(kSetMemTable, 0, bytes, descriptors)) lost_ = true;
}

void VhostUserScsi::share_log() {
    if (!configuration_.log_writes || (nature_.protocol_features & VHOST_USER_PROTOCOL_F_LOG_SHMFD) == 0) return;
    if (!log_file_) {
        const std::uint64_t bytes = (memory_.top().value / kVhostUserLogPage / 64 + 1) * 8;
        auto created = SharedMapping::create("vhost-user-log", bytes);
        if (!created) return;
        log_file_ = std::move(created->first);
        log_ = std::move(created->second);
    }
    const std::array<int, 1> descriptors{log_file_.get()};
    send(kSetLogBase, VhostUserLog{log_.bytes().size(), 0}, descriptors);
    replies_.push_back({kSetLogBase, [](VhostUserMessage&) {}, epoch_});
}

void VhostUserScsi::begin_rings() {
    if (inflight_file_) {
        share_inflight_buffer();
        return start_rings();
    }
    if ((nature_.protocol_features & VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) == 0) return start_rings();
    std::uint16_t size = 0;
    for (const auto& ring : rings_) size = std::max(size, ring->queue.setup.size);
    const VhostUserInflight shape{0, 0, static_cast<std::uint16_t>(rings_.size()), size, 0};
    ask(kGetInflightFd, shape, [this](VhostUserMessage& message) {
        const auto answer = message.as<VhostUserInflight>();
        if (!answer || message.descriptors.size() != 1) {
            lost_ = true;
            return;
        }
        inflight_shape_ = *answer;
        inflight_file_ = std::move(message.descriptors.front());
        share_inflight_buffer();
        start_rings();
    });
}

void VhostUserScsi::share_inflight_buffer() {
    const std::array<int, 1> descriptors{inflight_file_.get()};
    send(kSetInflightFd, inflight_shape_, descriptors);
}

void VhostUserScsi::start_rings() {
    const bool log = !log_.bytes().empty();
    send(kSetFeatures, features_ | VHOST_USER_F_PROTOCOL_FEATURES | (log ? VHOST_F_LOG_ALL : 0));
    for (unsigned i = 0; i < rings_.size(); ++i) {
        if (rings_[i]->running) start_ring(i);
    }
    introduced_ = true;
    if (stopping_) stop_rings();
}

std::optional<std::uint64_t> VhostUserScsi::user_address(memory::Iova address, std::uint64_t length_bytes) const {
    const auto bytes = memory_.span(memory::GuestAddress{address.value}, length_bytes);
    if (bytes.empty()) return std::nullopt;
    return reinterpret_cast<std::uint64_t>(bytes.data());
}

void VhostUserScsi::start_ring(unsigned index) {
    Ring& ring = *rings_[index];
    const QueueSetup& setup = ring.queue.setup;
    const auto descriptors = user_address(setup.descriptors, descriptor_table_bytes(setup.size));
    const auto avail = user_address(setup.driver_area, avail_ring_bytes(setup.size));
    const auto used = user_address(setup.device_area, used_ring_bytes(setup.size));
    if (!descriptors || !avail || !used) return transport_->fail(QueueError::kRingOutsideMemory);
    const auto share = [&](VhostUserRequest request, const runtime::Notification& event) {
        const std::array<int, 1> list{event.fd()};
        send(request, std::uint64_t{index}, list);
    };
    send(kSetVringNum, VhostUserVringState{index, setup.size});
    send(kSetVringBase, VhostUserVringState{index, ring.base});
    send(kSetVringAddr, VhostUserVringAddress{index, 0, *descriptors, *used, *avail, 0});
    share(kSetVringCall, ring.call);
    share(kSetVringErr, ring.error);
    share(kSetVringKick, *ring.queue.doorbell);
    send(kSetVringEnable, VhostUserVringState{index, 1});
    ring.queue.doorbell->signal(); // whatever the driver did while nobody listened
}

void VhostUserScsi::stop_rings() {
    for (unsigned i = 0; i < rings_.size(); ++i) {
        if (!rings_[i]->running) continue;
        ask(kGetVringBase, VhostUserVringState{i, 0}, [this, i](VhostUserMessage& message) {
            harvest_log();
            rings_[i]->base =
                static_cast<std::uint16_t>(message.as<VhostUserVringState>().value_or(VhostUserVringState{}).num);
            rings_[i]->running = false;
            // The next start is that of all of them.
            if (outstanding_ == 1) introduced_ = stopping_ = false;
            finish_one();
        });
    }
}

} // namespace touka::devices::virtio
