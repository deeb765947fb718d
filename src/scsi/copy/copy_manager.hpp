// EXTENDED COPY between disk units of one target process, without an initiator in between. (SPC-4 §5.16)
// Absent: list identifiers of four bytes, ROD tokens, segments other than block to block, stream devices, held data,
// inline data; PAD and CAT: a segment whose bytes are no whole blocks on both sides is refused.
#pragma once

#include <cstdint>
#include <expected>

#include "scsi/copy/copy_directory.hpp"
#include "scsi/copy/copy_failure.hpp"
#include "scsi/copy/copy_parameters.hpp"
#include "scsi/copy/copy_records.hpp"
#include "scsi/copy/copy_transfer.hpp"
#include "scsi/disk/disk_unit.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// The copy manager of one unit. It reads and writes in the name of the nexus that asked: units that the nexus does not
/// see cannot be reached, and reservations, write protection, port groups and readiness of both units count as if it
/// read and wrote by itself. On the unit's reactor.
class CopyManager final : public UnitEvents {
public:
    /// Adds EXTENDED COPY and RECEIVE COPY, VPD page 8Fh and the 3PC bit.
    /// @param disk the unit that is given a copy manager, and `directory`: outlive this.
    CopyManager(DiskUnit& disk, const CopyDirectory& directory);
    CopyManager(const CopyManager&) = delete;
    CopyManager& operator=(const CopyManager&) = delete;

    void logical_unit_reset() override { records_.clear(); }
    void nexus_lost(const NexusName& nexus) override { records_.forget_nexus(nexus); }

private:
    void extended_copy(Task& task);
    void receive(Task& task, std::uint16_t service_action);
    Job copy(Task& task, CopyList list, CopyRecords::Handle record);
    [[nodiscard]] std::expected<CopyTransfer, CopyFailure> resolve(const Task& task, const CopyList& list,
                                                                   const CopySegment& segment) const;
    [[nodiscard]] std::expected<DiskCore*, CopyFailure> reach(const Task& task, const CopyList& list,
                                                              std::uint16_t index) const;
    void end(Task& task, const CopyList& list, const CopyRecords::Handle& record, const CopyFailure* failure);

    DiskUnit& disk_;
    DeviceServer& server_;
    const CopyDirectory& directory_;
    CopyRecords records_;
    unsigned under_way_ = 0;
};

} // namespace touka::scsi
