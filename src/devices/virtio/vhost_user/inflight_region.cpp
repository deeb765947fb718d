#include "devices/virtio/vhost_user/inflight_region.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace touka::devices::virtio {

using spec::virtio::VhostUserInflightDescriptor;
using spec::virtio::VhostUserInflightQueue;

namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::uint64_t kAlignment = 64;

/// The process may end between any two stores; the compiler keeps them in the order that they have here.
void in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

} // namespace

std::uint64_t InflightRegion::bytes_of_queue(std::uint16_t queue_size) {
    const std::uint64_t bytes =
        sizeof(VhostUserInflightQueue) + sizeof(VhostUserInflightDescriptor) * std::uint64_t{queue_size};
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

InflightRegion::InflightRegion(std::span<std::byte> memory, std::uint16_t queue_size)
    : memory_(memory), size_(queue_size) {
    batch_.reserve(queue_size);
}

std::vector<std::uint16_t> InflightRegion::recover(std::uint16_t used_index) {
    VhostUserInflightQueue& state = queue();
    if (state.version == 0) { // new: nothing was ever in flight
        state.version = kVersion;
        state.desc_num = size_;
        state.last_batch_head = 0;
        state.used_idx = used_index;
        return {};
    }
    // The last batch was shown to the driver and not yet taken off here.
    const auto batch_size = static_cast<std::uint16_t>(used_index - state.used_idx);
    std::uint16_t head = state.last_batch_head;
    for (std::uint16_t i = 0; i < std::min(batch_size, size_) && head < size_; ++i) {
        descriptor(head).inflight = 0;
        head = descriptor(head).next;
    }
    state.used_idx = used_index;
    std::vector<std::pair<std::uint64_t, std::uint16_t>> found;
    for (std::uint16_t i = 0; i < size_; ++i) {
        const VhostUserInflightDescriptor entry = descriptor(i);
        if (entry.inflight != 0) found.emplace_back(entry.counter, i);
    }
    std::ranges::sort(found);
    std::vector<std::uint16_t> heads;
    for (const auto& [counter, index] : found) {
        counter_ = counter + 1;
        heads.push_back(index);
    }
    return heads;
}

void InflightRegion::taken(std::uint16_t head) {
    if (head >= size_) return;
    descriptor(head).counter = counter_++;
    in_order();
    descriptor(head).inflight = 1;
}

void InflightRegion::returned(std::uint16_t head) {
    if (head >= size_) return;
    descriptor(head).next = queue().last_batch_head;
    in_order();
    queue().last_batch_head = head;
    batch_.push_back(head);
}

void InflightRegion::published(std::uint16_t used_index) {
    in_order();
    for (const std::uint16_t head : batch_) descriptor(head).inflight = 0;
    batch_.clear();
    in_order();
    queue().used_idx = used_index;
}

} // namespace touka::devices::virtio
