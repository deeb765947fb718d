// Which chains of a queue are in flight, in memory that outlives this process. (Vhost-user Protocol, "Inflight I/O
// tracking", split virtqueues)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/virtqueue.hpp"
#include "spec/virtio/vhost_user.hpp"

namespace touka::devices::virtio {

/// One queue's part of the buffer. Its contents come from whoever holds the buffer: nothing in them is trusted.
class InflightRegion final : public ChainJournal {
public:
    /// Bytes that a queue of this size takes in the buffer.
    [[nodiscard]] static std::uint64_t bytes_of_queue(std::uint16_t queue_size);

    /// @param memory bytes_of_queue(queue_size) of them, aligned to 8; outlives the region.
    InflightRegion(std::span<std::byte> memory, std::uint16_t queue_size);

    /// Brings the region in line with the ring, as after a process that ended at any point.
    /// @param used_index as it is in the ring.  @return the heads that are still in flight, oldest first.
    [[nodiscard]] std::vector<std::uint16_t> recover(std::uint16_t used_index);

    void taken(std::uint16_t head) override;
    void returned(std::uint16_t head) override;
    void published(std::uint16_t used_index) override;

private:
    [[nodiscard]] spec::virtio::VhostUserInflightQueue& queue() {
        return *reinterpret_cast<spec::virtio::VhostUserInflightQueue*>(memory_.data());
    }
    [[nodiscard]] spec::virtio::VhostUserInflightDescriptor& descriptor(std::uint16_t head) {
        return reinterpret_cast<spec::virtio::VhostUserInflightDescriptor*>(
            memory_.data() + sizeof(spec::virtio::VhostUserInflightQueue))[head];
    }

    std::span<std::byte> memory_;
    std::uint16_t size_;
    std::uint64_t counter_ = 1;
    std::vector<std::uint16_t> batch_; // returned and not published
};

} // namespace touka::devices::virtio
