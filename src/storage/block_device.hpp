// A volume of blocks as devices use it: requests go in, each is completed exactly once.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace touka::storage {

enum class BlockOperation { kRead, kWrite, kFlush, kDiscard, kWriteZeroes };

/// How a request ended. There is no "maybe": kOk for a write means that the device reported it done (T3).
enum class BlockStatus {
    kOk,
    kIoError,    ///< the medium or the file system below failed
    kNoSpace,    ///< the host's file system is full
    kOutOfRange, ///< beyond the end or not in whole sectors
    kReadOnly,
    kUnsupported, ///< the backend cannot do this operation
};

/// @pre everything is set by the submitter and stays valid until `complete` is called.
struct BlockRequest {
    BlockOperation operation = BlockOperation::kRead;
    std::uint64_t offset_bytes = 0;
    std::uint64_t length_bytes = 0;              ///< also the sum of the buffers for read and write
    std::span<const iovec> buffers{};            ///< host memory; read and write only
    bool force_unit_access = false;              ///< a write that must be stable when it completes
    bool may_unmap = false;                      ///< write zeroes may punch a hole
    std::function<void(BlockStatus)> complete{}; ///< exactly once, on the device's reactor
};

struct BlockGeometry {
    std::uint64_t size_bytes = 0;
    std::uint32_t logical_block_bytes = 512;
    std::uint32_t physical_block_bytes = 512;
    std::uint32_t discard_granularity_bytes = 0; ///< 0: discard is not supported
    bool read_only = false;
};

/// A stretch of a volume that is allocated, or a hole that reads as zeros.
struct BlockExtent {
    std::uint64_t length_bytes = 0;
    bool allocated = true;
};

/// One open volume, used from one reactor's thread.
class BlockDevice {
public:
    virtual ~BlockDevice() = default;
    [[nodiscard]] virtual const BlockGeometry& geometry() const = 0;
    /// Takes the request; completion may come before this returns. Requests may complete in any order; a flush
    /// covers the writes that completed before it was submitted.
    virtual void submit(BlockRequest& request) = 0;
    /// Hands what was submitted to the host; call once after a batch of submits.
    virtual void commit() = 0;
    /// Takes a request back that the host has not begun with. @return true: it is never carried out, and `complete` is
    /// not called; false: it goes on.
    [[nodiscard]] virtual bool withdraw(BlockRequest& /*request*/) { return false; }
    /// Requests that were taken and not completed yet.
    [[nodiscard]] virtual std::size_t in_flight() const = 0;
    /// What is known of the volume from `offset_bytes` on. @pre offset_bytes is below the size.
    [[nodiscard]] virtual BlockExtent extent_at(std::uint64_t offset_bytes) const {
        return {geometry().size_bytes - offset_bytes, true};
    }
    /// This will be read soon: a hint, without an answer.
    virtual void prefetch(std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) {}
};

} // namespace touka::storage
