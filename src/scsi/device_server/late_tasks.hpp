#pragma once

#include <cstddef>
#include <cstdint>

#include "scsi/task.hpp"

namespace touka::scsi {

/// Aborted tasks that have not ended in time: the host still has requests of theirs and carries them out whenever it
/// comes to it. Whoever was told that its commands are gone must not meet their writes later, nor must their memory
/// grow without bound while initiators abort and ask again: so the medium is left alone meanwhile.
class LateTasks {
public:
    /// A task set's worth of commands; as much memory as an initiator has in flight on a fast network.
    static constexpr std::size_t kLimit = 64;
    static constexpr std::uint64_t kLimitBytes = 64 << 20;

    /// @param changes_medium the task may write; the same again for `remove`.
    void add(const Task& task, bool changes_medium) {
        ++count_;
        if (changes_medium) ++changing_;
        bytes_ += memory_bytes(task);
    }
    void remove(const Task& task, bool changes_medium) {
        --count_;
        if (changes_medium) --changing_;
        bytes_ -= memory_bytes(task);
    }

    [[nodiscard]] bool empty() const { return count_ == 0; }
    /// Is what accesses the medium answered BUSY? Not for a few late reads, which a disk with a bad spot has, too.
    [[nodiscard]] bool block_medium() const {
        return count_ > 0 && (changing_ > 0 || count_ >= kLimit || bytes_ >= kLimitBytes);
    }

private:
    static std::uint64_t memory_bytes(const Task& task) { return task.data_out_bytes + task.data_in_limit_bytes; }

    std::size_t count_ = 0, changing_ = 0;
    std::uint64_t bytes_ = 0;
};

} // namespace touka::scsi
