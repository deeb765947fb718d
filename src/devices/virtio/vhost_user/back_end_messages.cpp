// What each message of the front-end does. (Vhost-user Protocol, "Front-end message types")
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "devices/virtio/vhost_user/back_end.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

namespace {

constexpr std::uint64_t kRingFeatures = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
constexpr unsigned kConfigWordBytes = 4; // fields that a driver may write are of this width

/// Some front-ends leave the padding at its end out.
std::optional<VhostUserInflight> inflight_shape(const VhostUserMessage& message) {
    VhostUserInflight shape{};
    if (message.payload.size() < offsetof(VhostUserInflight, padding)) return std::nullopt;
    std::memcpy(&shape, message.payload.data(), std::min(sizeof shape, message.payload.size()));
    return shape;
}

} // namespace

/// What changes rings or memory waits until nobody works with them.
bool VhostUserBackEnd::needs_quiet(const VhostUserMessage& message) const {
    using enum VhostUserRequest;
    switch (message.request) {
        case kSetFeatures:
        case kSetMemTable:
        case kAddMemReg:
        case kRemMemReg:
        case kSetLogBase:
        case kSetVringNum:
        case kSetVringAddr:
        case kSetVringBase:
        case kGetVringBase:
        case kSetVringEnable:
        case kSetVringKick:
        case kSetInflightFd:
        case kResetOwner:
        case kResetDevice: return true;
        default: return false;
    }
}

VhostUserBackEnd::Outcome VhostUserBackEnd::dispatch(VhostUserMessage& message) {
    using enum VhostUserRequest;
    switch (message.request) {
        case kGetFeatures:
            return reply(message,
                         device_->device_features() | kRingFeatures | VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL);
        case kSetFeatures: return set_features(message);
        case kGetProtocolFeatures: return reply(message, kProtocolFeatures);
        case kSetProtocolFeatures: {
            const auto features = message.as<std::uint64_t>();
            if (!features || (*features & ~kProtocolFeatures) != 0) return Outcome::kHostile;
            protocol_features_ = *features;
            return Outcome::kDone;
        }
        case kSetOwner: return Outcome::kDone;
        case kResetOwner: return disable_rings();
        case kResetDevice: return reset_device();
        case kGetQueueNum: return reply(message, rings_.size());
        case kSetMemTable: return set_memory_table(message);
        case kGetMaxMemSlots: return reply(message, kVhostUserRegionLimit);
        case kAddMemReg: return change_region(message, true);
        case kRemMemReg: return change_region(message, false);
        case kSetLogBase: return set_log_base(message);
        case kSetLogFd: return Outcome::kDone; // who wants to know looks into the log
        case kSetVringNum:
        case kSetVringBase:
        case kSetVringEnable: return set_ring_state(message);
        case kSetVringAddr: return set_ring_addresses(message);
        case kSetVringKick:
        case kSetVringCall:
        case kSetVringErr: return set_ring_descriptor(message);
        case kGetVringBase: return stop_ring(message);
        case kGetConfig: return access_config(message, false);
        case kSetConfig: return access_config(message, true);
        case kGetInflightFd: return make_inflight(message);
        case kSetInflightFd: return take_inflight(message);
    }
    return Outcome::kRefused;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::set_features(const VhostUserMessage& message) {
    const auto features = message.as<std::uint64_t>();
    const std::uint64_t offered =
        device_->device_features() | kRingFeatures | VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL;
    if (!features || (*features & ~offered) != 0) return Outcome::kHostile;
    features_ = *features;
    memory_.enable_log((*features & VHOST_F_LOG_ALL) != 0);
    activated_ = false; // the device hears of them when the rings go on
    // Without protocol features rings are enabled from the start ("Ring states").
    if ((*features & VHOST_USER_F_PROTOCOL_FEATURES) == 0) {
        for (const auto& ring : rings_) ring->enabled = true;
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::set_memory_table(VhostUserMessage& message) {
    const auto header = message.as<VhostUserMemoryHeader>();
    if (!header || header->region_count > kVhostUserRegionLimit) return Outcome::kHostile;
    const std::size_t bytes = sizeof *header + header->region_count * sizeof(VhostUserMemoryRegion);
    if (message.payload.size() < bytes || message.descriptors.size() != header->region_count) return Outcome::kHostile;
    memory_.clear();
    for (std::size_t i = 0; i < header->region_count; ++i) {
        VhostUserMemoryRegion region{};
        std::memcpy(&region, message.payload.data() + sizeof *header + i * sizeof region, sizeof region);
        if (!memory_.add(region, message.descriptors[i])) return Outcome::kHostile;
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::change_region(VhostUserMessage& message, bool add) {
    struct Single {
        std::uint64_t padding;
        VhostUserMemoryRegion region;
    };
    const auto single = message.as<Single>();
    if (!single) return Outcome::kHostile;
    if (!add) return memory_.remove(single->region) ? Outcome::kDone : Outcome::kRefused;
    if (message.descriptors.size() != 1) return Outcome::kHostile;
    return memory_.add(single->region, message.descriptors.front()) ? Outcome::kDone : Outcome::kRefused;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::set_log_base(VhostUserMessage& message) {
    const auto log = message.as<VhostUserLog>();
    if (!log || message.descriptors.size() != 1) return Outcome::kHostile;
    auto mapping = SharedMapping::map_unsealed(message.descriptors.front(), log->offset, log->size);
    if (!mapping) return Outcome::kHostile;
    memory_.set_log(std::move(*mapping));
    // With a shared log this message has a reply of its own, whatever its flags say.
    return negotiated(VHOST_USER_PROTOCOL_F_LOG_SHMFD) ? reply(message, 0) : Outcome::kDone;
}

Vring* VhostUserBackEnd::ring_at(std::uint64_t index) { return index < rings_.size() ? rings_[index].get() : nullptr; }

VhostUserBackEnd::Outcome VhostUserBackEnd::set_ring_state(const VhostUserMessage& message) {
    const auto state = message.as<VhostUserVringState>();
    Vring* const ring = state ? ring_at(state->index) : nullptr;
    if (ring == nullptr || state->num > 0xFFFF) return Outcome::kHostile;
    const auto number = static_cast<std::uint16_t>(state->num);
    switch (message.request) {
        case VhostUserRequest::kSetVringNum:
            if (number > ring->size_limit) return Outcome::kHostile;
            ring->size = number;
            break;
        case VhostUserRequest::kSetVringBase: ring->base = number; break;
        default: ring->enabled = number != 0; break;
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::set_ring_addresses(const VhostUserMessage& message) {
    const auto addresses = message.as<VhostUserVringAddress>();
    Vring* const ring = addresses ? ring_at(addresses->index) : nullptr;
    if (ring == nullptr) return Outcome::kHostile;
    ring->addresses = *addresses;
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::set_ring_descriptor(VhostUserMessage& message) {
    const auto value = message.as<std::uint64_t>();
    const std::uint64_t index = value ? *value & kVhostUserVringIndexMask : ~std::uint64_t{0};
    Vring* const ring = ring_at(index);
    if (ring == nullptr) return Outcome::kHostile;
    runtime::ForeignEventfd event;
    if ((*value & kVhostUserNoDescriptor) == 0) {
        if (message.descriptors.size() != 1) return Outcome::kHostile;
        auto peers = runtime::ForeignEventfd::take(std::move(message.descriptors.front()));
        if (!peers) return Outcome::kHostile;
        event = std::move(*peers);
    }
    if (message.request == VhostUserRequest::kSetVringCall) {
        ring->call = std::move(event);
        ring->call.signal(); // what was published while there was none
    } else if (message.request == VhostUserRequest::kSetVringErr) {
        ring->error = std::move(event);
    } else {
        ring->watch.reset();
        ring->kick = std::move(event);
        if (!ring->kick) return Outcome::kRefused; // nobody polls here
        const auto place = static_cast<unsigned>(index);
        // Edges tell of every kick: nobody has to read the counter, which the peer could make wait.
        ring->watch =
            reactor_.watch(ring->kick.fd(), EPOLLIN | EPOLLET, [this, place](std::uint32_t) { process(place); });
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::stop_ring(const VhostUserMessage& message) {
    const auto state = message.as<VhostUserVringState>();
    Vring* const ring = state ? ring_at(state->index) : nullptr;
    if (ring == nullptr) return Outcome::kHostile;
    ring->stop();
    ring->watch.reset();
    ring->kick = {};
    const VhostUserVringState answer{state->index, ring->base};
    return channel_.send(message.request, kVhostUserReply, answer) ? Outcome::kReplied : Outcome::kHostile;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::access_config(const VhostUserMessage& message, bool write) {
    const auto header = message.as<VhostUserConfigHeader>();
    if (!header || header->size > kVhostUserConfigLimit || header->offset > kVhostUserConfigLimit ||
        message.payload.size() < sizeof *header + header->size) {
        return Outcome::kHostile;
    }
    if (write) {
        const auto bytes = std::span(message.payload).subspan(sizeof *header, header->size);
        for (std::size_t at = 0; at + kConfigWordBytes <= bytes.size(); at += kConfigWordBytes) {
            device_->write_config(header->offset + static_cast<std::uint32_t>(at), bytes.subspan(at, kConfigWordBytes));
        }
        return Outcome::kDone;
    }
    std::vector<std::byte> answer(sizeof *header + header->size);
    std::memcpy(answer.data(), &*header, sizeof *header);
    device_->read_config(header->offset, std::span(answer).subspan(sizeof *header));
    return channel_.send(message.request, kVhostUserReply, std::span<const std::byte>(answer)) ? Outcome::kReplied
                                                                                               : Outcome::kHostile;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::make_inflight(const VhostUserMessage& message) {
    auto shape = inflight_shape(message);
    if (!shape || shape->num_queues > rings_.size() || shape->queue_size > 0x8000) return Outcome::kHostile;
    const std::uint64_t bytes =
        std::max<std::uint64_t>(1, shape->num_queues) * InflightRegion::bytes_of_queue(shape->queue_size);
    auto created = SharedMapping::create("vhost-user-inflight", bytes);
    if (!created) return Outcome::kHostile;
    shape->mmap_size = bytes;
    shape->mmap_offset = 0;
    const std::array<int, 1> descriptors{created->first.get()};
    const auto answer = std::as_bytes(std::span(&*shape, 1)).first(std::min(sizeof *shape, message.payload.size()));
    return channel_.send(message.request, kVhostUserReply, answer, descriptors) ? Outcome::kReplied : Outcome::kHostile;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::take_inflight(VhostUserMessage& message) {
    const auto shape = inflight_shape(message);
    if (!shape || message.descriptors.size() != 1 || shape->num_queues > rings_.size()) return Outcome::kHostile;
    const std::uint64_t queue_bytes = InflightRegion::bytes_of_queue(shape->queue_size);
    if (shape->mmap_offset % 8 != 0 || shape->mmap_size < shape->num_queues * queue_bytes) return Outcome::kHostile;
    auto mapping = SharedMapping::map_unsealed(message.descriptors.front(), shape->mmap_offset, shape->mmap_size);
    if (!mapping) return Outcome::kHostile;
    for (const auto& ring : rings_) ring->inflight.reset();
    inflight_ = std::move(*mapping);
    for (std::size_t i = 0; i < shape->num_queues; ++i) {
        const auto part = inflight_.bytes().subspan(i * queue_bytes, queue_bytes);
        rings_[i]->inflight = std::make_unique<InflightRegion>(part, shape->queue_size);
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::disable_rings() {
    for (const auto& ring : rings_) {
        ring->enabled = false;
        ring->watch.reset();
        ring->kick = {};
    }
    return Outcome::kDone;
}

VhostUserBackEnd::Outcome VhostUserBackEnd::reset_device() {
    failed_ = false;
    activated_ = false;
    device_->reset();
    return disable_rings();
}

} // namespace touka::devices::virtio
