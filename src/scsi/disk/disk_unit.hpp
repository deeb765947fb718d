// A direct access block device of our own: a raw file or device behind everything that SBC-4 asks of a disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scsi/device_server/inquiry.hpp"
#include "scsi/device_server/log_pages.hpp"
#include "scsi/device_server/medium_removal.hpp"
#include "scsi/device_server/mode_pages.hpp"
#include "scsi/device_server/target_port_groups.hpp"
#include "scsi/disk/atomic_write.hpp"
#include "scsi/disk/cache.hpp"
#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/maintenance.hpp"
#include "scsi/disk/protected_disk.hpp"
#include "scsi/disk/provisioning.hpp"
#include "scsi/disk/read_write.hpp"
#include "scsi/disk/verify.hpp"

namespace touka::scsi {

struct DiskOptions {
    UnitIdentity identity;
    std::vector<TargetPort> ports;
    std::uint32_t block_bytes = 0;          ///< 512 or 4096 and no less than the volume's; 0: the volume's
    std::uint32_t physical_block_bytes = 0; ///< what is told of the medium; 0: the volume's
    bool removable = false;
    bool rotating = false; ///< what VPD page B1h says: 7200 rpm, or a medium that does not rotate
    /// Commands of 32 bytes without protection information, too: some initiators do not expect CDB usage data that
    /// long.
    bool long_commands = false;
    /// For WRITE ATOMIC, a file of AtomicJournal::kUsualFileBytes that nothing else uses; outlives the unit. Null or
    /// not suitable: the unit has no WRITE ATOMIC.
    storage::BlockDevice* atomic_journal = nullptr;
    /// For protection information, a file of ProtectionStore::file_bytes that nothing else uses; outlives the unit.
    /// Null: the unit has no protection information. Not suitable: the unit answers LOGICAL UNIT FAILURE.
    storage::BlockDevice* protection = nullptr;
    ProtectionType protection_type = ProtectionType::kType1; ///< of a new file; FORMAT UNIT changes it
};

/// A disk. Its bytes are the volume's (T2), a write completes when the volume says so (T3). With a journal it is not
/// ready until what a crash left there is written. @thread the volume's reactor.
class DiskUnit {
public:
    /// @param volume outlives the unit. It may not be destroyed while requests are under way.
    DiskUnit(storage::BlockDevice& volume, DiskOptions options);

    [[nodiscard]] LogicalUnit& unit() { return server_; }
    [[nodiscard]] DeviceServer& server() { return server_; }
    [[nodiscard]] const Inquiry& inquiry() const { return inquiry_; }
    [[nodiscard]] Inquiry& inquiry() { return inquiry_; }
    [[nodiscard]] DiskCore& core() { return core_; }
    [[nodiscard]] Maintenance& maintenance() { return maintenance_; }
    /// Ends what goes on without a task. @pre no nexus is attached.  @param done called once, perhaps before this
    /// returns, when nothing of the unit is in the volume any more: it may be destroyed then.
    void stop(std::function<void()> done) { core_.background.stop(std::move(done)); }
    /// Null without one.
    [[nodiscard]] const AtomicJournal* journal() const { return journal_.get(); }
    /// Null without one. What reads and writes blocks past the commands goes through it.
    [[nodiscard]] ProtectedDisk* protection() { return protection_.get(); }

private:
    [[nodiscard]] std::unique_ptr<ProtectedDisk> make_protection(const DiskOptions& options);
    void add_atomic_writes(const DiskOptions& options);
    /// What is done before the unit is ready.
    Job open();
    [[nodiscard]] std::optional<Sense> readiness() const;
    void add_mode_pages();
    void add_log_pages();
    void add_vital_product_data(const DiskOptions& options);
    [[nodiscard]] std::vector<std::uint8_t> block_limits() const;
    [[nodiscard]] std::vector<std::uint8_t> block_descriptor(bool long_lba) const;
    [[nodiscard]] std::optional<Sense> check_block_descriptor(std::span<const std::uint8_t> bytes) const;

    DeviceServer server_;
    ModePages modes_;
    LogPages logs_;
    DiskCore core_;
    std::unique_ptr<ProtectedDisk> protection_;
    Inquiry inquiry_;
    MediumRemoval removal_;
    TargetPortGroups port_groups_;
    ReadWrite read_write_;
    VerifyCommands verify_;
    CompareCommands compare_;
    Provisioning provisioning_;
    CacheCommands cache_;
    Maintenance maintenance_;
    std::unique_ptr<AtomicJournal> journal_;
    std::unique_ptr<AtomicWrite> atomic_write_;
};

} // namespace touka::scsi
