// SCSI host bus adapter: an initiator port for the driver, with targets behind it. (Virtual I/O Device 1.2 §5.6)
// Absent: bidirectional commands (INOUT), protection information (T10_PI), asynchronous notification of MMC devices,
// command priority and CRN, which are ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "devices/virtio/scsi_control_queue.hpp"
#include "devices/virtio/scsi_event_queue.hpp"
#include "devices/virtio/scsi_port.hpp"
#include "devices/virtio/scsi_request_queue.hpp"
#include "devices/virtio/virtio_device.hpp"

namespace touka::devices::virtio {

struct ScsiConfiguration {
    /// Who the driver is to targets: Fibre Channel, the WWPN as 16 lower-case hexadecimal digits.
    scsi::InitiatorPort initiator;
    std::uint16_t queue_count = 1; ///< of request queues, one for each vCPU
};

struct ScsiState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint32_t sense_bytes = spec::virtio::kScsiDefaultSenseBytes;
    std::uint32_t cdb_bytes = spec::virtio::kScsiDefaultCdbBytes;
    bool events_missed = false;
    void describe(auto& archive) { archive(sense_bytes, cdb_bytes, events_missed); }
};

/// Every command becomes a task of a target, its data in the guest's own pages. The driver sees one target for each
/// attached scsi::Target; all live on the reactor of the device's transport, and so do all calls but those of the
/// configuration. A device reset is a loss of the I_T nexuses for the targets: tasks are aborted, unit attentions
/// established (SAM-6 §6.3.4).
///
/// Task management takes in what the driver put into request queues before it, so that a command cannot outlive the
/// function that aborted it by having been overtaken.
class Scsi final : public VirtioDevice {
public:
    explicit Scsi(const ScsiConfiguration& configuration);
    ~Scsi() override;

    /// A target appears, at start or later; the driver is told of each unit. @pre nothing has this id.
    /// @param target outlives the device, or until `detach` is done.  @param port the target port that is logged in to.
    /// @param units ascending by LUN; outlive the target.
    void attach(std::uint8_t target_id, scsi::Target& target, scsi::RelativeTargetPort port,
                std::vector<scsi::MappedUnit> units);
    /// The target disappears: its tasks are aborted. @param done when none is left.
    void detach(std::uint8_t target_id, std::function<void()> done);
    /// Other units than before are seen at the target; the driver is told of those that came and went.
    void remap(std::uint8_t target_id, std::vector<scsi::MappedUnit> units);
    /// A unit has new parameters: kCapacityDataHasChanged and the like. Its unit attention is the unit's own matter.
    void parameters_changed(std::uint8_t target_id, scsi::Lun lun, scsi::SenseCode code);

    [[nodiscard]] spec::virtio::DeviceId device_id() const override { return spec::virtio::DeviceId::kScsi; }
    [[nodiscard]] std::uint32_t pci_class_code() const override;
    [[nodiscard]] std::uint64_t device_features() const override;
    [[nodiscard]] std::vector<std::uint16_t> queue_sizes() const override;
    void read_config(std::uint32_t offset, std::span<std::byte> to) const override;
    /// sense_size and cdb_size; values beyond the limits of ScsiRequest change nothing.
    void write_config(std::uint32_t offset, std::span<const std::byte> from) override;

    void connect(VirtioTransport& transport) override { port_.transport = &transport; }
    void activate(std::uint64_t features) override;
    [[nodiscard]] bool process_queue(unsigned index) override;
    [[nodiscard]] std::size_t in_flight() const override { return port_.in_flight; }
    void abort_all() override;
    void reset() override;

    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

    /// Pieces of a command's buffer beside request and response: what the host's own calls take at once (IOV_MAX).
    /// Linux' sg cuts into 32 KiB, and so gets 32 MiB into one command.
    static constexpr std::uint32_t kSegmentLimit = 1024;
    static constexpr std::uint32_t kSectorLimit = 0x2'0000; ///< of 512 bytes: as many segments of 64 KiB
    static_assert(kSegmentLimit + 2 <= ScsiRequestQueue::kSize);
    static constexpr std::uint32_t kCommandsPerUnit = 128;

private:
    ScsiPort port_;
    std::vector<std::unique_ptr<ScsiRequestQueue>> request_queues_;
    ScsiControlQueue control_;
    ScsiEventQueue events_;
    bool activated_ = false; // since the last reset
};

} // namespace touka::devices::virtio
