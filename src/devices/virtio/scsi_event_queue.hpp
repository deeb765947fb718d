// What happens to units, told without being asked. (Virtual I/O Device 1.2 §5.6.6.3)
#pragma once

#include <cstdint>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/scsi_port.hpp"

namespace touka::devices::virtio {

/// The event queue. An event that finds no buffer is lost, and the driver told of that with the next one, or as soon
/// as it makes a buffer available. On the device's reactor.
class ScsiEventQueue {
public:
    static constexpr std::uint16_t kSize = 256;

    explicit ScsiEventQueue(ScsiPort& port) : port_(port) {}

    /// VIRTIO_SCSI_T_TRANSPORT_RESET; dropped unless the driver negotiated HOTPLUG.
    /// @param reason VIRTIO_SCSI_EVT_RESET_*.
    void transport_reset(std::uint8_t target, scsi::Lun lun, std::uint32_t reason);
    /// VIRTIO_SCSI_T_PARAM_CHANGE; dropped unless the driver negotiated CHANGE.
    void parameters_changed(std::uint8_t target, scsi::Lun lun, scsi::SenseCode code);
    /// The driver made buffers available.
    void process();

    [[nodiscard]] bool missed() const { return missed_; }
    void set_missed(bool missed) { missed_ = missed; }

private:
    void report(std::uint32_t event, std::uint8_t target, scsi::Lun lun, std::uint32_t reason);
    /// @return whether the driver has it.
    [[nodiscard]] bool store(spec::virtio::ScsiEvent event);

    ScsiPort& port_;
    DescriptorChain chain_;
    bool missed_ = false;
};

} // namespace touka::devices::virtio
