#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "devices/virtio/scsi_bus.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "spec/virtio/scsi.hpp"

namespace touka::devices::virtio {

/// What the queues of one virtio-scsi device share. On the device's reactor, but for the two sizes (any thread).
struct ScsiPort {
    explicit ScsiPort(scsi::InitiatorPort initiator) : bus(std::move(initiator)) {}

    ScsiBus bus;
    VirtioTransport* transport = nullptr;
    std::uint64_t features = 0;                                                   ///< that the driver chose
    std::size_t in_flight = 0;                                                    ///< commands and task management
    std::atomic<std::uint32_t> sense_bytes{spec::virtio::kScsiDefaultSenseBytes}; ///< as the driver set them
    std::atomic<std::uint32_t> cdb_bytes{spec::virtio::kScsiDefaultCdbBytes};

    void begin() { ++in_flight; }
    void end() {
        --in_flight;
        transport->request_finished();
    }
};

} // namespace touka::devices::virtio
