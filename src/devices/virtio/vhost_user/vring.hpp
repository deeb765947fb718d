#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "devices/virtio/vhost_user/inflight_region.hpp"
#include "devices/virtio/vhost_user/mapped_memory.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "runtime/foreign_eventfd.hpp"
#include "runtime/reactor.hpp"

namespace touka::devices::virtio {

/// One ring as the front-end described it. (Vhost-user Protocol, "Ring states")
struct Vring {
    Vring(memory::DmaSpace& dma, std::uint16_t limit) : queue(dma, limit), size_limit(limit) {}

    Virtqueue queue;
    std::uint16_t size_limit;
    std::uint16_t size = 0;
    std::uint16_t base = 0; ///< where in the available ring to go on
    std::optional<spec::virtio::VhostUserVringAddress> addresses;
    bool enabled = false;
    runtime::ForeignEventfd kick, call, error;
    std::unique_ptr<runtime::Reactor::Watch> watch;
    std::unique_ptr<InflightRegion> inflight;
    std::uint16_t seen = 0; ///< avail.idx when the device was told of it last

    [[nodiscard]] bool ready() const { return enabled && kick && addresses && size > 0; }
    /// Starts the queue from what is known of it. @return what the front-end or the driver did wrong.
    [[nodiscard]] std::expected<void, QueueError> start(MappedMemory& memory, std::uint64_t features);
    /// @pre nothing in flight.
    void stop();
};

} // namespace touka::devices::virtio
