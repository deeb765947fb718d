#pragma once

#include <memory>
#include <vector>

#include "scsi/disk/disk_core.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

/// READ and WRITE of 6, 10, 12, 16 and 32 bytes: the volume reads into and writes from the initiator's buffers. No
/// allocation once as many requests have been under way at once. (SBC-4 §5.11 to §5.14, §5.36 ff)
class ReadWrite {
public:
    /// Adds the commands. @param core outlives this.
    explicit ReadWrite(DiskCore& core);
    ~ReadWrite();

    struct Counters {
        std::uint64_t reads = 0, writes = 0, read_blocks = 0, written_blocks = 0;
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

private:
    struct Slot;
    void read(Task& task);
    void write(Task& task);
    void submit(Task& task, const BlockRange& range, storage::BlockOperation operation, std::uint64_t length_bytes,
                std::span<const iovec> buffers);
    void finish(Slot& slot, storage::BlockStatus status);
    void withdraw_aborted();
    Job read_cut(Task& task, BlockRange range);

    DiskCore& core_;
    Counters counters_;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<Slot*> free_;
};

} // namespace touka::scsi
