#pragma once

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// UNMAP, WRITE SAME(10), (16) and (32), GET LBA STATUS(16). What is unmapped is a hole in the file and reads as zeros.
/// (SBC-4 §4.7, §5.9, §5.31, §5.49 ff)
class Provisioning {
public:
    /// Adds the commands. @param core outlives this.
    explicit Provisioning(DiskCore& core);

    static constexpr std::uint32_t kWriteSameLimitBlocks = 65535; ///< so that it ends soon, as a WRITE does
    static constexpr std::uint32_t kUnmapDescriptorLimit = 256;
    static constexpr std::uint32_t kUnmapLimitBytes = 512u << 20; ///< by one UNMAP command

    [[nodiscard]] bool can_unmap() const { return core_.volume.geometry().discard_granularity_bytes > 0; }
    [[nodiscard]] std::uint32_t unmap_limit_blocks() const { return kUnmapLimitBytes / core_.block_bytes; }
    /// OPTIMAL UNMAP GRANULARITY in blocks.
    [[nodiscard]] std::uint32_t unmap_granularity_blocks() const;

private:
    void unmap(Task& task);
    void write_same(Task& task);
    void get_lba_status(Task& task);
    Job run_unmap(Task& task, std::vector<BlockRange> ranges);
    Job run_write_same(Task& task, BlockRange range, std::vector<std::uint8_t> block, bool may_unmap);

    DiskCore& core_;
};

} // namespace touka::scsi
