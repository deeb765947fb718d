#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "storage/block_device.hpp"
#include "storage/file_step.hpp"
#include "storage/open_file.hpp"

namespace touka::storage {

/// One request on its way: which step the kernel does next, and what its result means. Goes on after short
/// transfers, falls back where a file system lacks an operation, and copies where O_DIRECT needs alignment.
/// Reused for one request after the other; never allocates.
class FileTask {
public:
    /// Must the data of this request be copied to suit O_DIRECT?
    [[nodiscard]] static bool needs_bounce(const OpenFile& file, const BlockRequest& request);

    /// @param bounce aligned memory, a multiple of the alignment in size; empty unless needs_bounce.
    void begin(OpenFile& file, BlockRequest& request, std::span<std::byte> bounce);
    /// What to ask of the kernel; valid until `finish_step`.
    [[nodiscard]] const FileStep& step() const { return step_; }
    /// @param result bytes, 0, or a negative errno, as `perform` returns them.
    /// @return how the request ended, or nothing when `step` has the next thing to do.
    [[nodiscard]] std::optional<BlockStatus> finish_step(std::int64_t result);

    [[nodiscard]] BlockRequest& request() const { return *request_; }
    [[nodiscard]] std::span<std::byte> bounce() const { return bounce_; }

private:
    static constexpr std::size_t kWindowVectors = 64;
    static constexpr unsigned kMaxRetries = 100;
    enum class Stage { kTransfer, kFlush, kDiscard, kUnmap, kZeroRange, kZeroWrite, kSync };

    void enter(Stage stage);
    void prepare_transfer();
    void prepare_zero_write();
    void fill_window(std::uint64_t limit_bytes);
    void copy_bounce(bool to_bounce, std::uint64_t length_bytes);
    [[nodiscard]] std::optional<BlockStatus> advance(std::uint64_t bytes);
    [[nodiscard]] std::optional<BlockStatus> fail(int error);

    OpenFile* file_ = nullptr;
    BlockRequest* request_ = nullptr;
    std::span<std::byte> bounce_;
    Stage stage_ = Stage::kTransfer;
    FileStep step_;
    std::uint64_t done_bytes_ = 0;
    unsigned retries_ = 0;
    std::array<iovec, kWindowVectors> window_{};
};

} // namespace touka::storage
