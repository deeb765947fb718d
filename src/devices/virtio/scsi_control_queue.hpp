// Task management and asynchronous notification. (Virtual I/O Device 1.2 §5.6.6.2)
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/scsi_request_queue.hpp"

namespace touka::devices::virtio {

/// The control queue. No unit has an asynchronous event to subscribe to: these are those of MMC devices, and every
/// query is answered with none. On the device's reactor.
class ScsiControlQueue {
public:
    static constexpr std::uint16_t kSize = 256;

    /// @param request_queues where the commands are that task management is about; outlive the queue.
    ScsiControlQueue(ScsiPort& port, std::vector<std::unique_ptr<ScsiRequestQueue>>& request_queues);

    /// @pre the request queues were processed: what the driver sent before is known.
    /// @return as VirtioDevice::process_queue.
    [[nodiscard]] bool process(unsigned budget);

private:
    struct Slot {
        DescriptorChain chain;
    };
    void handle(Slot& slot);
    void handle_task_management(Slot& slot);
    void handle_notification(Slot& slot);
    void mark_aborted(scsi::TaskManagementFunction function, const scsi::Nexus& nexus, scsi::Lun lun,
                      std::uint64_t tag);
    /// @param response copied to the chain's writable part.
    void finish(Slot& slot, std::span<const std::byte> response);
    void finish(Slot& slot, std::uint8_t response) { finish(slot, std::as_bytes(std::span(&response, 1))); }

    ScsiPort& port_;
    std::vector<std::unique_ptr<ScsiRequestQueue>>& request_queues_;
    std::vector<std::unique_ptr<Slot>> slots_; // one for each descriptor and one to look at the next with
    std::vector<Slot*> free_;
    bool processing_ = false;
};

} // namespace touka::devices::virtio
