#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <string>

#include "runtime/unique_fd.hpp"
#include "storage/block_device.hpp"

namespace touka::storage {

enum class OpenError {
    kNotFound,
    kNotADisk, ///< a directory, a pipe, a character device
    kNoPermission,
    kInUse,
    kReadOnly, ///< the medium or its file system cannot be written
    kEmpty,
    kNotWholeSectors,
    kNoDirectIo,
    kFailed,
};

struct OpenFailure {
    OpenError error;
    std::string text; ///< for the user: which file, what is wrong, what to do
};

struct OpenOptions {
    bool read_only = false;
    bool direct = false; ///< O_DIRECT: past the host's page cache
    /// Hold a lock, so that no second machine writes the same disk. Off for file systems without locks.
    bool lock = true;
};

/// A regular file or block device that is open as a disk. Shared by the queues of one RawFile; they only read
/// it, but for the two flags.
struct OpenFile {
    runtime::UniqueFd fd;
    BlockGeometry geometry;
    bool block_device = false;
    /// On a file system in user space (FUSE), which waits within a request's submission for its end, whatever it is
    /// asked for: such requests are left to a thread.
    bool submission_waits = false;
    bool cached = true; ///< by the host: not O_DIRECT
    /// Multiple that buffers' addresses and lengths must have; 1 without O_DIRECT.
    std::uint32_t memory_alignment = 1;
    std::uint32_t length_alignment = 1;
    /// What the file system cannot do is found out once and then no longer tried. Relaxed: a hint.
    std::atomic<bool> can_punch_hole{true};
    std::atomic<bool> can_zero_range{true};

    OpenFile() = default;
    OpenFile(OpenFile&& other) noexcept
        : fd(std::move(other.fd)), geometry(other.geometry), block_device(other.block_device),
          submission_waits(other.submission_waits), cached(other.cached), memory_alignment(other.memory_alignment),
          length_alignment(other.length_alignment),
          can_punch_hole(other.can_punch_hole.load(std::memory_order_relaxed)),
          can_zero_range(other.can_zero_range.load(std::memory_order_relaxed)) {}
};

/// Opens, locks and measures. A block device that is written is opened exclusively (O_EXCL), so that nothing
/// that is mounted or part of a volume is handed to a guest.
[[nodiscard]] std::expected<OpenFile, OpenFailure> open_file(const std::string& path, const OpenOptions& options);

} // namespace touka::storage
