#include "devices/virtio/vhost_user/vring.hpp"

#include "spec/virtio/split_queue.hpp"

namespace touka::devices::virtio {

std::expected<void, QueueError> Vring::start(MappedMemory& memory, std::uint64_t features) {
    const auto descriptors = memory.from_user_address(addresses->descriptor);
    const auto available = memory.from_user_address(addresses->available);
    const auto used = memory.from_user_address(addresses->used);
    if (!descriptors || !available || !used) return std::unexpected(QueueError::kRingOutsideMemory);
    // The used index is in the ring: whoever worked on it before has got that far.
    std::uint16_t used_index = 0;
    if (!memory.read(*used + spec::virtio::kUsedIndexOffset, std::as_writable_bytes(std::span(&used_index, 1)))) {
        return std::unexpected(QueueError::kRingOutsideMemory);
    }
    QueuePosition position{.next_avail = base, .next_used = used_index};
    std::vector<std::uint16_t> heads;
    if (inflight) {
        heads = inflight->recover(used_index);
        if (!heads.empty()) position.next_avail = static_cast<std::uint16_t>(used_index + heads.size());
    }
    const QueueSetup setup{.size = size, .descriptors = *descriptors, .driver_area = *available, .device_area = *used};
    const auto started = queue.start(setup, features, position);
    if (started && inflight) queue.resume(std::move(heads), *inflight);
    return started;
}

void Vring::stop() {
    if (!queue.running()) return;
    base = queue.position().next_avail;
    queue.stop();
}

} // namespace touka::devices::virtio
