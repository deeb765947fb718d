#include "devices/virtio/vhost_user/front_end.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "devices/virtio/scsi.hpp"
#include "spec/pci/config_header.hpp"
#include "spec/virtio/split_queue.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using enum VhostUserRequest;

VhostUserScsi::VhostUserScsi(const VhostUserConfiguration& configuration, memory::GuestMemory& memory,
                             std::unique_ptr<MessageChannel> channel, const Nature& nature)
    : configuration_(configuration), memory_(memory), nature_(nature), config_(nature.config),
      channel_(std::move(channel)) {
    for (std::uint64_t i = 0; i < nature.queue_count; ++i) rings_.push_back(std::make_unique<Ring>());
}

VhostUserScsi::~VhostUserScsi() = default;

std::uint32_t VhostUserScsi::pci_class_code() const { return spec::pci::class_code::kScsiStorage; }

std::uint64_t VhostUserScsi::device_features() const {
    return nature_.features &
           (VIRTIO_SCSI_F_INOUT | VIRTIO_SCSI_F_HOTPLUG | VIRTIO_SCSI_F_CHANGE | VIRTIO_SCSI_F_T10_PI);
}

std::vector<std::uint16_t> VhostUserScsi::queue_sizes() const {
    // The protocol does not say how long rings may be, but those of 256 all have. No chain may be longer than its ring
    // (§2.7.5.3.1): who takes more segments has longer request rings.
    constexpr std::uint32_t kShort = 256;
    const std::uint32_t longest_chain = std::min<std::uint32_t>(nature_.config.seg_max, kQueueSizeLimit - 2) + 2;
    std::vector<std::uint16_t> sizes(rings_.size(), kShort);
    const auto request_size = static_cast<std::uint16_t>(std::bit_ceil(std::max(kShort, longest_chain)));
    std::fill(sizes.begin() + kScsiFirstRequestQueue, sizes.end(), request_size);
    return sizes;
}

// --- configuration (vCPU threads) ---

void VhostUserScsi::read_config(std::uint32_t offset, std::span<std::byte> to) const {
    copy_config(*config_.lock(), offset, to);
}

void VhostUserScsi::write_config(std::uint32_t offset, std::span<const std::byte> from) {
    std::uint32_t value = 0;
    if (from.size() != sizeof value) return;
    std::memcpy(&value, from.data(), sizeof value);
    {
        auto config = config_.lock();
        if (offset == offsetof(ScsiConfig, sense_size) && value <= ScsiRequest::kSenseLimitBytes) {
            config->sense_size = value;
        } else if (offset == offsetof(ScsiConfig, cdb_size) && value > 0 && value <= ScsiRequest::kCdbLimitBytes) {
            config->cdb_size = value;
        } else {
            return;
        }
    }
    transport_->reactor().run_and_wait([&] {
        struct {
            VhostUserConfigHeader header;
            std::uint32_t value;
        } const access{{offset, sizeof value, 0}, value};
        touched_ = true;
        send(kSetConfig, access);
    });
}

// --- the device's life ---

void VhostUserScsi::connect(VirtioTransport& transport) {
    transport_ = &transport;
    runtime::Reactor& reactor = transport.reactor();
    timer_ = reactor.make_timer([this] { reconnect(); });
    for (unsigned i = 0; i < rings_.size(); ++i) {
        Ring& ring = *rings_[i];
        ring.call_watch = reactor.watch(ring.call.fd(), EPOLLIN, [this, i](std::uint32_t) {
            (void)rings_[i]->call.consume();
            harvest_log();
            if (rings_[i]->running) transport_->interrupt_driver(i);
        });
        ring.error_watch = reactor.watch(ring.error.fd(), EPOLLIN, [this, i](std::uint32_t) {
            (void)rings_[i]->error.consume();
            if (rings_[i]->running) transport_->fail(QueueError::kFoundElsewhere);
        });
    }
    reactor.run_and_wait([this] {
        watch_channel();
        introduce();
    });
}

void VhostUserScsi::start(std::uint64_t features, const std::vector<Queue>& queues) {
    features_ = features;
    stopping_ = false;
    touched_ = true;
    for (std::size_t i = 0; i < rings_.size() && i < queues.size(); ++i) {
        Ring& ring = *rings_[i];
        if (!queues[i].enabled || ring.running) continue;
        ring.queue = queues[i];
        ring.base = queues[i].position.next_avail;
        ring.running = true;
        if (introduced_) start_ring(static_cast<unsigned>(i));
    }
    if (channel_ && !introduced_) begin_rings();
}

void VhostUserScsi::stop() {
    stopping_ = true;
    for (const auto& ring : rings_) outstanding_ += ring->running ? 1 : 0;
    if (introduced_) stop_rings(); // else as soon as there is somebody to say how far they got
}

QueuePosition VhostUserScsi::position(unsigned index) const {
    // At rest all that was taken has been returned: both have got equally far.
    return {.next_avail = rings_.at(index)->base, .next_used = rings_.at(index)->base};
}

void VhostUserScsi::abort_all() {
    std::vector<unsigned> running;
    for (unsigned i = 0; i < rings_.size(); ++i) {
        if (rings_[i]->running) running.push_back(i);
    }
    forget_rings();
    if (!std::exchange(touched_, false) || !channel_) return;
    if ((nature_.protocol_features & VHOST_USER_PROTOCOL_F_RESET_DEVICE) != 0) {
        ++outstanding_;
        if (!channel_->send(kResetDevice, kVhostUserNeedReply, std::uint64_t{0})) lost_ = true;
        replies_.push_back({kResetDevice, [this](VhostUserMessage&) { finish_one(); }, epoch_});
        return;
    }
    for (const unsigned i : running) {
        ++outstanding_;
        ask(kGetVringBase, VhostUserVringState{i, 0}, [this](VhostUserMessage&) { finish_one(); });
    }
}

void VhostUserScsi::forget_rings() {
    ++epoch_;
    outstanding_ = 0;
    stopping_ = introduced_ = false;
    inflight_file_.reset();
    for (const auto& ring : rings_) {
        ring->running = false;
        ring->base = 0;
    }
}

void VhostUserScsi::reset() {
    auto config = config_.lock();
    config->sense_size = kScsiDefaultSenseBytes;
    config->cdb_size = kScsiDefaultCdbBytes;
}

void VhostUserScsi::finish_one() {
    if (outstanding_ == 0) return;
    --outstanding_;
    if (outstanding_ == 0) transport_->request_finished();
}

migration::Record VhostUserScsi::save() const {
    auto config = config_.lock();
    return migration::save_record({}, ScsiState{config->sense_size, config->cdb_size, true});
}

std::expected<void, migration::RestoreError> VhostUserScsi::restore(const migration::Record& record) {
    const auto state = migration::load_record<ScsiState>(record);
    if (!state) return std::unexpected(state.error());
    const auto write = [this](std::size_t offset, std::uint32_t value) {
        write_config(static_cast<std::uint32_t>(offset), std::as_bytes(std::span(&value, 1)));
    };
    write(offsetof(ScsiConfig, sense_size), state->sense_bytes);
    write(offsetof(ScsiConfig, cdb_size), state->cdb_bytes);
    return {};
}

/// What the back-end marked since the last time. (Vhost-user Protocol, "Migration")
void VhostUserScsi::harvest_log() {
    const auto bytes = log_.bytes();
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes.size(); at += sizeof(std::uint64_t)) {
        auto& word = *reinterpret_cast<std::uint64_t*>(bytes.data() + at);
        if (word == 0) continue;
        std::uint64_t marked = std::atomic_ref(word).exchange(0, std::memory_order_acquire);
        for (; marked != 0; marked &= marked - 1) {
            const std::uint64_t page = at * 8 + static_cast<unsigned>(std::countr_zero(marked));
            const memory::GuestAddress address{page * kVhostUserLogPage};
            if (memory_.is_ram(address)) memory_.written(address, kVhostUserLogPage);
        }
    }
}

} // namespace touka::devices::virtio
