#include "devices/virtio/scsi_event_queue.hpp"

#include <algorithm>

namespace touka::devices::virtio {

using namespace spec::virtio;

void ScsiEventQueue::transport_reset(std::uint8_t target, scsi::Lun lun, std::uint32_t reason) {
    if ((port_.features & VIRTIO_SCSI_F_HOTPLUG) == 0) return;
    report(VIRTIO_SCSI_T_TRANSPORT_RESET, target, lun, reason);
}

void ScsiEventQueue::parameters_changed(std::uint8_t target, scsi::Lun lun, scsi::SenseCode code) {
    if ((port_.features & VIRTIO_SCSI_F_CHANGE) == 0) return;
    const std::uint32_t reason = spec::scsi::asc(code) | std::uint32_t{spec::scsi::ascq(code)} << 8;
    report(VIRTIO_SCSI_T_PARAM_CHANGE, target, lun, reason);
}

void ScsiEventQueue::report(std::uint32_t event, std::uint8_t target, scsi::Lun lun, std::uint32_t reason) {
    ScsiEvent image{.event = event, .lun = {}, .reason = reason};
    std::ranges::copy(scsi_address_bytes(target, lun), image.lun);
    missed_ = !store(image);
}

void ScsiEventQueue::process() {
    if (missed_) missed_ = !store({.event = VIRTIO_SCSI_T_NO_EVENT, .lun = {}, .reason = 0});
}

bool ScsiEventQueue::store(ScsiEvent event) {
    if (!port_.transport->active()) return false;
    Virtqueue& queue = port_.transport->queue(kScsiEventQueue);
    if (missed_) event.event |= VIRTIO_SCSI_T_EVENTS_MISSED;
    for (unsigned tries = 0; tries < kSize; ++tries) {
        const auto popped = queue.pop(chain_);
        if (!popped) {
            port_.transport->fail(popped.error());
            return false;
        }
        if (!*popped) {
            if (queue.enable_notifications()) continue;
            return false;
        }
        // A buffer that is too short for any event comes back empty, and the event looks for another one.
        const bool fits = chain_.writable_bytes() >= sizeof event;
        if (fits) (void)chain_.put(port_.transport->dma(), std::as_bytes(std::span(&event, 1)));
        queue.push_used(chain_, fits ? sizeof event : 0);
        port_.transport->publish(kScsiEventQueue);
        if (fits) return true;
    }
    return false;
}

} // namespace touka::devices::virtio
