#pragma once

#include <cstdint>
#include <vector>

#include "devices/virtio/transport_registers.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "migration/record.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::devices::virtio {

/// One virtio function with its device, all requests drained.
struct VirtioPciState {
    static constexpr std::uint16_t kVersion = 1;
    platform::PciFunctionState function;
    TransportRegistersState common;
    std::uint8_t isr = 0;
    std::vector<QueuePosition> positions;
    migration::Record device;
    void describe(auto& archive) { archive(function, common, isr, positions, device); }
};

} // namespace touka::devices::virtio
