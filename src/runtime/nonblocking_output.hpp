#pragma once

#include <cstddef>
#include <span>

#include "runtime/unique_fd.hpp"

namespace touka::runtime {

/// Writes to a descriptor that others share (standard output), never blocking, and without O_NONBLOCK on the
/// shared open file: that would break the shell and every other program that writes there.
class NonblockingOutput {
public:
    /// @param fd stays the caller's and must outlive this.
    explicit NonblockingOutput(int fd);

    enum class Result { kProgress, kBlocked, kGone };
    struct Written {
        Result result;
        std::size_t count_bytes; ///< 0 unless kProgress
    };
    /// Writes what fits now. kGone: nobody will ever read it (closed pipe, no descriptor, disk full).
    /// @pre SIGPIPE does not kill the calling thread.
    [[nodiscard]] Written write(std::span<const std::byte> bytes) const;
    /// What to wait for EPOLLOUT on after kBlocked.
    [[nodiscard]] int fd() const { return own_ ? own_.get() : fd_; }

private:
    enum class Kind {
        kReopened, ///< terminal or pipe: an open file of our own, with O_NONBLOCK
        kSocket,   ///< asked not to block call by call
        kFile,     ///< never blocks for long and cannot be polled
        kPolled,   ///< may not be reopened (a terminal of another user): polled, byte by byte
        kNone,     ///< no such descriptor
    };
    static Kind kind_of(int fd);

    int fd_;
    Kind kind_;
    UniqueFd own_; // kReopened only
};

} // namespace touka::runtime
