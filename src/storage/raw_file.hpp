// A raw disk: a file or block device whose bytes are the guest's blocks, nothing else (T2).
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "runtime/reactor.hpp"
#include "storage/block_device.hpp"
#include "storage/open_file.hpp"

namespace touka::storage {

/// A raw file or block device, open and locked for as long as this lives. A device with several queues opens
/// one BlockDevice for each, on the same or on different reactors.
/// - A write completes when the kernel reported it done; with force_unit_access when it is stable (RWF_DSYNC).
/// - A flush is fdatasync: it covers every write that completed before it, on any queue.
/// - kWriteZeroes reads back as zeros for certain: where the file system has no such call, zeros are written.
/// With direct I/O the geometry's sectors are what the host can transfer (4096 bytes on some disks), and buffers
/// that do not suit are copied.
class RawFile {
public:
    enum class Backend {
        kAuto,    ///< io_uring where it is permitted
        kUring,   ///< open_queue falls back to threads if it is not
        kThreads, ///< preadv and friends on four threads
    };
    struct Options : OpenOptions {
        Backend backend = Backend::kAuto;
        std::uint32_t depth = 256; ///< requests that the kernel works on at once, for each queue
    };

    [[nodiscard]] static std::expected<std::unique_ptr<RawFile>, OpenFailure> open(const std::string& path,
                                                                                   const Options& options);

    [[nodiscard]] const BlockGeometry& geometry() const { return file_.geometry; }
    /// @return a queue for `reactor`'s thread: submit, commit and completions happen there. Destroy it there or
    /// while nothing is submitted; it waits for what is in flight. This RawFile and the reactor must outlive it.
    [[nodiscard]] std::unique_ptr<BlockDevice> open_queue(runtime::Reactor& reactor);
    /// Does open_queue use io_uring?
    [[nodiscard]] bool uses_uring() const { return backend_ == Backend::kUring; }

private:
    RawFile(OpenFile file, Backend backend, std::uint32_t depth)
        : file_(std::move(file)), backend_(backend), depth_(depth) {}

    OpenFile file_;
    Backend backend_;
    std::uint32_t depth_;
};

} // namespace touka::storage
