#include "devices/virtio/net.hpp"

#include <algorithm>
#include <cstring>

#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

namespace {

constexpr std::uint64_t kOffloads = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
                                    VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_HOST_TSO4 |
                                    VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN;
constexpr std::size_t kHeaderBytes = sizeof(NetworkHeader);

} // namespace

Net::Net(network::FramePort& port, const MacAddress& mac) : port_(port), mac_(mac), received_(kQueueSize) {}

Net::~Net() { port_.set_receiver({}); }

void Net::set_link(bool up) {
    if (link_up_.exchange(up, std::memory_order_relaxed) != up && transport_) transport_->config_changed();
}

std::uint32_t Net::pci_class_code() const { return spec::pci::class_code::kEthernet; }

std::uint64_t Net::device_features() const {
    return VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF | (port_.offload_features() & kOffloads);
}

void Net::read_config(std::uint32_t offset, std::span<std::byte> to) const {
    NetworkConfig config{};
    std::memcpy(config.mac, mac_.data(), sizeof config.mac);
    config.status = link_up_.load(std::memory_order_relaxed) ? VIRTIO_NET_S_LINK_UP : std::uint16_t{0};
    copy_config(config, offset, to);
}

void Net::connect(VirtioTransport& transport) {
    transport_ = &transport;
    port_.set_receiver([this](std::span<const std::byte> frame) { return receive(frame); });
}

void Net::activate(std::uint64_t features) {
    features_ = features;
    port_.set_offloads(features & kOffloads);
}

void Net::reset() {
    features_ = 0;
    port_.set_offloads(0);
}

bool Net::process_queue(unsigned index) {
    if (index == kReceiveQueue) {
        port_.resume(); // there may be room for the frame that the port kept
        return false;
    }
    Virtqueue& queue = transport_->queue(kTransmitQueue);
    const auto more = queue.consume(
        kTurnBudget, [this]() -> DescriptorChain& { return transmitted_; },
        [this, &queue](DescriptorChain& chain) {
            transmit(chain);
            queue.push_used(chain, 0);
        });
    transport_->publish(kTransmitQueue);
    if (!more) transport_->fail(more.error());
    return more.value_or(false);
}

void Net::transmit(DescriptorChain& chain) {
    NetworkHeader header{};
    if (!chain.take(std::as_writable_bytes(std::span(&header, 1)))) return;
    const std::uint64_t frame_bytes = chain.readable_bytes();
    if (frame_bytes < kEthernetHeaderBytes || frame_bytes > kLargestFrameBytes || !acceptable(header)) return;
    if (!link_up_.load(std::memory_order_relaxed)) return;
    header.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.num_buffers = 0;
    outgoing_.clear();
    outgoing_.push_back({&header, kHeaderBytes});
    outgoing_.insert(outgoing_.end(), chain.readable().begin(), chain.readable().end());
    (void)port_.send(outgoing_); // a port that is full drops, as a switch does
}

bool Net::acceptable(const NetworkHeader& header) const {
    const bool checksum = (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
    if (checksum && (features_ & VIRTIO_NET_F_CSUM) == 0) return false;
    if ((header.gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0 && (features_ & VIRTIO_NET_F_HOST_ECN) == 0) return false;
    switch (header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
        case VIRTIO_NET_HDR_GSO_NONE: return true;
        case VIRTIO_NET_HDR_GSO_TCPV4: return checksum && (features_ & VIRTIO_NET_F_HOST_TSO4) != 0;
        case VIRTIO_NET_HDR_GSO_TCPV6: return checksum && (features_ & VIRTIO_NET_F_HOST_TSO6) != 0;
        default: return false;
    }
}

bool Net::receive(std::span<const std::byte> header_and_frame) {
    if (!transport_->active()) return false;
    if (!link_up_.load(std::memory_order_relaxed)) return true;
    if (header_and_frame.size() < kHeaderBytes) return true;
    switch (gather(header_and_frame.size())) {
        case Gathered::kEnough: scatter(header_and_frame); return true;
        case Gathered::kNever: return true; // dropped: no buffers that the driver ever gives can hold it
        case Gathered::kTooFew:
        case Gathered::kFailed: break;
    }
    return false;
}

/// Takes chains until the frame fits: one, or several with mergeable buffers. On anything but kEnough all are given
/// back.
Net::Gathered Net::gather(std::size_t needed_bytes) {
    Virtqueue& queue = transport_->queue(kReceiveQueue);
    const std::size_t chain_limit = (features_ & VIRTIO_NET_F_MRG_RXBUF) != 0 ? queue.size() : 1u;
    queue.disable_notifications();
    std::uint64_t room_bytes = 0;
    for (received_count_ = 0; room_bytes < needed_bytes;) {
        if (received_count_ == chain_limit) {
            queue.undo_pop(std::span(received_).first(received_count_));
            return Gathered::kNever;
        }
        const auto popped = queue.pop(received_[received_count_]);
        if (!popped) {
            transport_->fail(popped.error());
            return Gathered::kFailed;
        }
        if (*popped) {
            room_bytes += received_[received_count_++].writable_bytes();
            continue;
        }
        // Asked for before the chains go back: what counts is the next one that arrives, not the first of these.
        if (queue.enable_notifications()) continue;
        queue.undo_pop(std::span(received_).first(received_count_));
        return Gathered::kTooFew;
    }
    return Gathered::kEnough;
}

void Net::scatter(std::span<const std::byte> header_and_frame) {
    NetworkHeader header{};
    std::memcpy(&header, header_and_frame.data(), kHeaderBytes);
    header.num_buffers = static_cast<std::uint16_t>(received_count_);
    const auto header_bytes = std::as_bytes(std::span(&header, 1));
    auto frame = header_and_frame.subspan(kHeaderBytes);
    std::size_t header_done = 0; // the driver may split even the header
    Virtqueue& queue = transport_->queue(kReceiveQueue);
    for (DescriptorChain& chain : std::span(received_).first(received_count_)) {
        const std::size_t of_header = chain.put(transport_->dma(), header_bytes.subspan(header_done));
        header_done += of_header;
        const std::size_t of_frame = chain.put(transport_->dma(), frame);
        frame = frame.subspan(of_frame);
        queue.push_used(chain, static_cast<std::uint32_t>(of_header + of_frame));
    }
    transport_->publish(kReceiveQueue);
}

migration::Record Net::save() const {
    return migration::save_record({}, NetState{mac_, link_up_.load(std::memory_order_relaxed)});
}

std::expected<void, migration::RestoreError> Net::restore(const migration::Record& record) {
    const auto state = migration::load_record<NetState>(record);
    if (!state) return std::unexpected(state.error());
    mac_ = state->mac; // the address is the guest's and moves with it (rule T4)
    link_up_.store(state->link_up, std::memory_order_relaxed);
    return {};
}

} // namespace touka::devices::virtio
