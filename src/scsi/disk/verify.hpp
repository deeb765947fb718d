#pragma once

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// VERIFY and WRITE AND VERIFY of 10, 12, 16 and 32 bytes. (SBC-4 §5.34, §5.39)
class VerifyCommands {
public:
    /// Adds the commands. @param core outlives this.
    explicit VerifyCommands(DiskCore& core);

private:
    void verify(Task& task, bool write_first);
    Job run(Task& task, BlockRange range, std::uint8_t byte_check, bool write_first);

    DiskCore& core_;
};

/// COMPARE AND WRITE and ORWRITE(16) and (32): what is on the medium decides what is written, with nothing in between.
/// (SBC-4 §5.3, §5.7)
class CompareCommands {
public:
    explicit CompareCommands(DiskCore& core);
    /// MAXIMUM COMPARE AND WRITE LENGTH, in blocks.
    static constexpr std::uint8_t kCompareLimitBlocks = 255;

private:
    void compare_and_write(Task& task);
    void or_write(Task& task);
    /// Reads the range, lets `change` look at it and make what is to be written, and writes that.
    Job read_change_write(Task& task, BlockRange range, bool or_data);

    DiskCore& core_;
};

} // namespace touka::scsi
