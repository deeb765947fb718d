// One command of a virtio-scsi request queue, as a SCSI task. (Virtual I/O Device 1.2 §5.6.6.1)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "devices/virtio/descriptor_chain.hpp"
#include "devices/virtio/scsi_port.hpp"
#include "scsi/task.hpp"

namespace touka::devices::virtio {

class ScsiRequestQueue;

/// The response of a task that is over. The only place where the way it ended becomes the driver's response value.
/// @param buffer_bytes of the driver's data buffer, in whichever direction.
/// @param by_abort the driver had the task aborted by ABORT TASK, ABORT TASK SET or CLEAR TASK SET; who else aborts
///   tasks resets them, and the driver sends them again.
[[nodiscard]] spec::virtio::ScsiCommandResponse scsi_response(const scsi::Task& task, std::uint64_t buffer_bytes,
                                                              bool by_abort);

/// From pop to push: the chain and the task whose buffers are the chain's. A queue keeps them.
class ScsiRequest final : public scsi::Task {
public:
    explicit ScsiRequest(ScsiRequestQueue& queue) : queue_(queue) {}

    /// The largest values that the driver may set; beyond what CDBs and sense data can be.
    static constexpr std::uint32_t kCdbLimitBytes = scsi::Cdb::kLimitBytes, kSenseLimitBytes = 256;

    [[nodiscard]] DescriptorChain& chain() { return chain_; }
    /// Takes the popped chain apart and submits the task, or returns the chain at once.
    void start(ScsiPort& port);
    /// Marks the task if it is one that the driver aborts. @param lun by number.  @param any_tag all of the unit's.
    void abort_if(const scsi::Nexus& of_nexus, scsi::Lun of_lun, bool any_tag, std::uint64_t of_tag);

    [[nodiscard]] std::span<const iovec> data_in(std::uint64_t bytes) override;
    void complete() override;

private:
    void fill_in(const spec::virtio::ScsiCommandHeader& header, std::span<const std::uint8_t> cdb_bytes);
    void finish(const spec::virtio::ScsiCommandResponse& response);
    void reject(std::uint8_t response);
    [[nodiscard]] std::uint32_t store_response(const spec::virtio::ScsiCommandResponse& response);

    ScsiRequestQueue& queue_;
    DescriptorChain chain_;
    std::vector<iovec> response_; // where it goes
    std::vector<iovec> data_in_;  // the part of the data-in buffer that was asked for
    std::uint32_t sense_room_ = 0;
    bool running_ = false;
    bool by_abort_ = false;
};

} // namespace touka::devices::virtio
