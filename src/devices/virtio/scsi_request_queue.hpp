#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/virtio/scsi_request.hpp"

namespace touka::devices::virtio {

/// One request queue of a virtio-scsi device: its requests, and the way of chains through them. Requests are made when
/// more are in flight than ever before, and kept. On the device's reactor.
class ScsiRequestQueue {
public:
    /// No chain is longer than the queue (§2.7.5.3.1), so the size says how many segments a command may have.
    static constexpr std::uint16_t kSize = 2048;

    /// @param index of the virtqueue.
    ScsiRequestQueue(ScsiPort& port, unsigned index);

    /// Takes up to `budget` chains, submits them and commits each batch. @return as VirtioDevice::process_queue.
    [[nodiscard]] bool process(unsigned budget);
    /// Marks those tasks that a task management function of the driver aborts.
    void abort_if(const scsi::Nexus& nexus, scsi::Lun lun, bool any_tag, std::uint64_t tag);

    /// Returns a request's chain. @param written_bytes from its first writable byte on.
    void finish(ScsiRequest& request, std::uint32_t written_bytes);
    [[nodiscard]] ScsiPort& port() { return port_; }

private:
    /// The request that the next chain will have.
    [[nodiscard]] ScsiRequest& next();

    ScsiPort& port_;
    unsigned index_;
    std::vector<std::unique_ptr<ScsiRequest>> requests_; // at most one for each descriptor and one more
    std::vector<ScsiRequest*> free_;
    bool processing_ = false; // published at the end of each batch
};

} // namespace touka::devices::virtio
