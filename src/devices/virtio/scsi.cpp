#include "devices/virtio/scsi.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;

namespace {

bool valid_sense_bytes(std::uint32_t value) { return value <= ScsiRequest::kSenseLimitBytes; }
bool valid_cdb_bytes(std::uint32_t value) { return value > 0 && value <= ScsiRequest::kCdbLimitBytes; }

/// Calls `visit` with each unit that `list` has and `other` has not.
template <class Visit>
void for_missing(const std::vector<scsi::MappedUnit>& list, const std::vector<scsi::MappedUnit>& other, Visit visit) {
    for (const scsi::MappedUnit& mapped : list) {
        const bool there = std::ranges::any_of(
            other, [&](const scsi::MappedUnit& o) { return o.lun == mapped.lun && o.unit == mapped.unit; });
        if (!there) visit(mapped);
    }
}

} // namespace

Scsi::Scsi(const ScsiConfiguration& configuration)
    : port_(configuration.initiator), control_(port_, request_queues_), events_(port_) {
    for (unsigned i = 0; i < std::max<unsigned>(1, configuration.queue_count); ++i) {
        request_queues_.push_back(std::make_unique<ScsiRequestQueue>(port_, kScsiFirstRequestQueue + i));
    }
}

Scsi::~Scsi() = default;

void Scsi::attach(std::uint8_t target_id, scsi::Target& target, scsi::RelativeTargetPort port,
                  std::vector<scsi::MappedUnit> units) {
    port_.bus.add(target_id, target, port, std::move(units));
    for (const scsi::MappedUnit& mapped : port_.bus[target_id].nexus->units) {
        events_.transport_reset(target_id, mapped.lun, VIRTIO_SCSI_EVT_RESET_RESCAN);
    }
}

void Scsi::detach(std::uint8_t target_id, std::function<void()> done) {
    if (port_.bus[target_id].target == nullptr) return done();
    const auto units = port_.bus[target_id].nexus->units;
    port_.bus.remove(target_id, std::move(done));
    for (const scsi::MappedUnit& mapped : units) {
        events_.transport_reset(target_id, mapped.lun, VIRTIO_SCSI_EVT_RESET_REMOVED);
    }
}

void Scsi::remap(std::uint8_t target_id, std::vector<scsi::MappedUnit> units) {
    const ScsiBus::Attachment& attachment = port_.bus[target_id];
    if (attachment.target == nullptr) return;
    const auto before = attachment.nexus->units;
    attachment.target->remap(*attachment.nexus, std::move(units));
    const auto& after = attachment.nexus->units;
    for_missing(before, after, [&](const scsi::MappedUnit& gone) {
        events_.transport_reset(target_id, gone.lun, VIRTIO_SCSI_EVT_RESET_REMOVED);
    });
    for_missing(after, before, [&](const scsi::MappedUnit& added) {
        events_.transport_reset(target_id, added.lun, VIRTIO_SCSI_EVT_RESET_RESCAN);
    });
}

void Scsi::parameters_changed(std::uint8_t target_id, scsi::Lun lun, scsi::SenseCode code) {
    events_.parameters_changed(target_id, lun, code);
}

std::uint32_t Scsi::pci_class_code() const { return spec::pci::class_code::kScsiStorage; }

std::uint64_t Scsi::device_features() const { return VIRTIO_SCSI_F_HOTPLUG | VIRTIO_SCSI_F_CHANGE; }

std::vector<std::uint16_t> Scsi::queue_sizes() const {
    std::vector<std::uint16_t> sizes(kScsiFirstRequestQueue + request_queues_.size(), ScsiRequestQueue::kSize);
    sizes[kScsiControlQueue] = ScsiControlQueue::kSize;
    sizes[kScsiEventQueue] = ScsiEventQueue::kSize;
    return sizes;
}

void Scsi::read_config(std::uint32_t offset, std::span<std::byte> to) const {
    const ScsiConfig config{.num_queues = static_cast<std::uint32_t>(request_queues_.size()),
                            .seg_max = kSegmentLimit,
                            .max_sectors = kSectorLimit,
                            .cmd_per_lun = kCommandsPerUnit,
                            .event_info_size = sizeof(ScsiEvent),
                            .sense_size = port_.sense_bytes.load(std::memory_order_relaxed),
                            .cdb_size = port_.cdb_bytes.load(std::memory_order_relaxed),
                            .max_channel = 0,
                            .max_target = kScsiLargestTarget,
                            .max_lun = kScsiLargestLun};
    copy_config(config, offset, to);
}

void Scsi::write_config(std::uint32_t offset, std::span<const std::byte> from) {
    std::uint32_t value = 0;
    if (from.size() != sizeof value) return;
    std::memcpy(&value, from.data(), sizeof value);
    if (offset == offsetof(ScsiConfig, sense_size) && valid_sense_bytes(value)) port_.sense_bytes.store(value);
    if (offset == offsetof(ScsiConfig, cdb_size) && valid_cdb_bytes(value)) port_.cdb_bytes.store(value);
}

void Scsi::activate(std::uint64_t features) {
    port_.features = features;
    activated_ = true;
}

bool Scsi::process_queue(unsigned index) {
    if (index >= kScsiFirstRequestQueue) {
        return request_queues_.at(index - kScsiFirstRequestQueue)->process(kTurnBudget);
    }
    if (index == kScsiEventQueue) {
        events_.process();
        return false;
    }
    // All that the driver had sent when it asked for task management.
    for (const auto& queue : request_queues_) (void)queue->process(ScsiRequestQueue::kSize);
    return port_.transport->active() && control_.process(kTurnBudget);
}

/// The function may be answered before all commands have ended (kTargetFailure). They count as in flight as long as the
/// host can reach the driver's memory for them, and the reset waits for that, however long it takes.
void Scsi::abort_all() {
    if (!activated_) return;
    port_.bus.for_each([this](ScsiBus::Attachment& attachment) {
        port_.begin();
        attachment.target->manage(scsi::TaskManagementFunction::kItNexusReset, *attachment.nexus, {}, 0,
                                  [this](scsi::TaskManagementResponse) { port_.end(); });
    });
    activated_ = false;
}

void Scsi::reset() {
    port_.features = 0;
    activated_ = false;
    events_.set_missed(false);
    port_.sense_bytes.store(kScsiDefaultSenseBytes);
    port_.cdb_bytes.store(kScsiDefaultCdbBytes);
}

migration::Record Scsi::save() const {
    return migration::save_record({}, ScsiState{port_.sense_bytes.load(), port_.cdb_bytes.load(), events_.missed()});
}

std::expected<void, migration::RestoreError> Scsi::restore(const migration::Record& record) {
    const auto state = migration::load_record<ScsiState>(record);
    if (!state) return std::unexpected(state.error());
    if (!valid_sense_bytes(state->sense_bytes) || !valid_cdb_bytes(state->cdb_bytes)) {
        return std::unexpected(migration::RestoreError::kDamaged);
    }
    port_.sense_bytes.store(state->sense_bytes);
    port_.cdb_bytes.store(state->cdb_bytes);
    events_.set_missed(state->events_missed);
    return {};
}

} // namespace touka::devices::virtio
