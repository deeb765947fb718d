#pragma once

#include <cstdint>
#include <optional>

#include "scsi/copy/copy_failure.hpp"
#include "scsi/copy/copy_records.hpp"
#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/step.hpp"
#include "scsi/task.hpp"

namespace touka::scsi {

/// One segment with its units, which may be the same. The ranges are whole blocks of either and within it.
struct CopyTransfer {
    DiskCore *source, *destination;
    std::uint64_t source_bytes, destination_bytes; ///< offsets
    std::uint64_t length_bytes;

    /// Does the destination begin within the source, so that it has to be copied from its end?
    [[nodiscard]] bool backwards() const { return source == destination && destination_bytes > source_bytes; }
};

/// Copies piece by piece, and ends early when the task is aborted. Each piece is held apart from atomic commands on the
/// source, then on the destination, but never on both at once, which could wait in a circle. Protection information is
/// checked where it is read and made where it is written. A unit that is stopped is let go of at the next step.
/// @param transfer, task, record outlive it.  @return why it could not be copied.
Step<std::optional<CopyFailure>> carry_out(const CopyTransfer& transfer, const Task& task, CopyRecord& record);

} // namespace touka::scsi
