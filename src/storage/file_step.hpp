#pragma once

#include <sys/uio.h>

#include <cstdint>

namespace touka::storage {

/// One call to the kernel on a disk's file: what io_uring or a thread is asked to do next for a request.
struct FileStep {
    enum class Kind {
        kRead,     ///< vectors, from offset_bytes
        kWrite,    ///< vectors, to offset_bytes; RWF_DSYNC when synchronous
        kSync,     ///< fdatasync
        kAllocate, ///< fallocate with `mode`
        kDiscard,  ///< BLKDISCARD, block devices only; io_uring has no such operation
    };
    Kind kind = Kind::kSync;
    const iovec* vectors = nullptr;
    unsigned vector_count = 0;
    std::uint64_t offset_bytes = 0;
    std::uint64_t length_bytes = 0;
    int mode = 0;
    bool synchronous = false;
};

/// Does the step and waits for it. @return bytes for reads and writes, else 0; a negative errno.
[[nodiscard]] std::int64_t perform(int fd, const FileStep& step);

} // namespace touka::storage
