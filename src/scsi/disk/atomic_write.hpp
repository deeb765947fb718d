#pragma once

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// WRITE ATOMIC(16): all blocks or none, for other commands and for whoever looks after a loss of power. Always stable
/// when it completes. (SBC-4 §4.29, §5.48) Absent: ATOMIC BOUNDARY other than 0.
class AtomicWrite {
public:
    /// Adds the command. @param core outlives this and has a journal.
    explicit AtomicWrite(DiskCore& core);

    /// MAXIMUM ATOMIC TRANSFER LENGTH.
    [[nodiscard]] std::uint32_t limit_blocks() const {
        return static_cast<std::uint32_t>(AtomicJournal::kDataLimitBytes / core_.block_bytes);
    }

private:
    void execute(Task& task);
    Job run(Task& task, BlockRange range);

    DiskCore& core_;
};

} // namespace touka::scsi
