#pragma once

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// SYNCHRONIZE CACHE(10) and (16), PRE-FETCH(10) and (16). (SBC-4 §5.10, §5.29)
class CacheCommands {
public:
    /// Adds the commands. @param core outlives this.
    explicit CacheCommands(DiskCore& core);

private:
    void synchronize(Task& task);
    void prefetch(Task& task);
    /// @param task null when it was answered already (IMMED).
    Job flush(Task* task);

    DiskCore& core_;
};

} // namespace touka::scsi
