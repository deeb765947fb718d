#include "storage/file_task.hpp"

#include <linux/falloc.h>
#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstring>

namespace touka::storage {

namespace {

constexpr std::size_t kZeroBytes = 64 * 1024;
alignas(4096) constexpr std::array<std::byte, kZeroBytes> kZeroes{};

bool is_missing(int error) {
    return error == EOPNOTSUPP || error == ENOSYS || error == ENODEV || error == EINVAL || error == ENOTTY;
}

BlockStatus status_of(int error) {
    switch (error) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return BlockStatus::kNoSpace;
        case EROFS: return BlockStatus::kReadOnly;
        default: return BlockStatus::kIoError;
    }
}

} // namespace

bool FileTask::needs_bounce(const OpenFile& file, const BlockRequest& request) {
    return std::ranges::any_of(request.buffers, [&](const iovec& buffer) {
        return reinterpret_cast<std::uintptr_t>(buffer.iov_base) % file.memory_alignment != 0 ||
               buffer.iov_len % file.length_alignment != 0;
    });
}

void FileTask::begin(OpenFile& file, BlockRequest& request, std::span<std::byte> bounce) {
    file_ = &file;
    request_ = &request;
    bounce_ = bounce;
    done_bytes_ = 0;
    retries_ = 0;
    switch (request.operation) {
        case BlockOperation::kRead:
        case BlockOperation::kWrite: return enter(Stage::kTransfer);
        case BlockOperation::kFlush: return enter(Stage::kFlush);
        case BlockOperation::kDiscard: return enter(Stage::kDiscard);
        case BlockOperation::kWriteZeroes: break;
    }
    if (request.may_unmap && file.can_punch_hole.load(std::memory_order_relaxed)) return enter(Stage::kUnmap);
    enter(file.can_zero_range.load(std::memory_order_relaxed) ? Stage::kZeroRange : Stage::kZeroWrite);
}

void FileTask::enter(Stage stage) {
    stage_ = stage;
    step_ = FileStep{.kind = FileStep::Kind::kAllocate,
                     .offset_bytes = request_->offset_bytes,
                     .length_bytes = request_->length_bytes};
    switch (stage) {
        case Stage::kTransfer: return prepare_transfer();
        case Stage::kZeroWrite: return prepare_zero_write();
        case Stage::kFlush:
        case Stage::kSync: step_.kind = FileStep::Kind::kSync; return;
        case Stage::kDiscard:
            if (file_->block_device) step_.kind = FileStep::Kind::kDiscard;
            [[fallthrough]];
        case Stage::kUnmap: step_.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE; return;
        case Stage::kZeroRange: step_.mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE; return;
    }
}

void FileTask::prepare_transfer() {
    const bool write = request_->operation == BlockOperation::kWrite;
    step_.kind = write ? FileStep::Kind::kWrite : FileStep::Kind::kRead;
    step_.synchronous = write && request_->force_unit_access;
    step_.offset_bytes = request_->offset_bytes + done_bytes_;
    if (!bounce_.empty()) {
        const std::uint64_t length = std::min<std::uint64_t>(bounce_.size(), request_->length_bytes - done_bytes_);
        if (write) copy_bounce(true, length);
        window_[0] = {.iov_base = bounce_.data(), .iov_len = length};
        step_.vectors = window_.data();
        step_.vector_count = 1;
    } else if (done_bytes_ == 0 && request_->buffers.size() <= IOV_MAX) {
        step_.vectors = request_->buffers.data();
        step_.vector_count = static_cast<unsigned>(request_->buffers.size());
    } else {
        fill_window(request_->length_bytes - done_bytes_);
    }
}

/// The next buffers, from the byte on that is not transferred yet.
void FileTask::fill_window(std::uint64_t limit_bytes) {
    std::uint64_t skip = done_bytes_;
    unsigned count = 0;
    for (const iovec& buffer : request_->buffers) {
        if (skip >= buffer.iov_len) {
            skip -= buffer.iov_len;
            continue;
        }
        if (count == window_.size() || limit_bytes == 0) break;
        const std::uint64_t length = std::min<std::uint64_t>(buffer.iov_len - skip, limit_bytes);
        window_[count++] = {.iov_base = static_cast<std::byte*>(buffer.iov_base) + skip, .iov_len = length};
        limit_bytes -= length;
        skip = 0;
    }
    step_.vectors = window_.data();
    step_.vector_count = count;
}

/// Between the bounce buffer and the request's buffers, at what is not transferred yet.
void FileTask::copy_bounce(bool to_bounce, std::uint64_t length_bytes) {
    std::uint64_t skip = done_bytes_;
    std::byte* bounce = bounce_.data();
    for (const iovec& buffer : request_->buffers) {
        if (length_bytes == 0) return;
        if (skip >= buffer.iov_len) {
            skip -= buffer.iov_len;
            continue;
        }
        std::byte* const data = static_cast<std::byte*>(buffer.iov_base) + skip;
        const std::uint64_t length = std::min<std::uint64_t>(buffer.iov_len - skip, length_bytes);
        std::memcpy(to_bounce ? bounce : data, to_bounce ? data : bounce, length);
        bounce += length;
        length_bytes -= length;
        skip = 0;
    }
}

void FileTask::prepare_zero_write() {
    step_.kind = FileStep::Kind::kWrite;
    step_.synchronous = request_->force_unit_access;
    step_.offset_bytes = request_->offset_bytes + done_bytes_;
    std::uint64_t left = request_->length_bytes - done_bytes_;
    unsigned count = 0;
    // The kernel only reads from it; iovec has no const.
    for (void* zeroes = const_cast<std::byte*>(kZeroes.data()); left > 0 && count < window_.size(); ++count) {
        const std::uint64_t length = std::min<std::uint64_t>(left, kZeroBytes);
        window_[count] = {.iov_base = zeroes, .iov_len = length};
        left -= length;
    }
    step_.vectors = window_.data();
    step_.vector_count = count;
}

std::optional<BlockStatus> FileTask::finish_step(std::int64_t result) {
    if (result < 0) return fail(static_cast<int>(-result));
    switch (stage_) {
        case Stage::kTransfer:
        case Stage::kZeroWrite: return advance(static_cast<std::uint64_t>(result));
        case Stage::kUnmap:
        case Stage::kZeroRange:
            if (!request_->force_unit_access) return BlockStatus::kOk;
            enter(Stage::kSync);
            return std::nullopt;
        case Stage::kFlush:
        case Stage::kDiscard:
        case Stage::kSync: break;
    }
    return BlockStatus::kOk;
}

std::optional<BlockStatus> FileTask::advance(std::uint64_t bytes) {
    const std::uint64_t left = request_->length_bytes - done_bytes_;
    assert(bytes <= left);
    // After a short transfer O_DIRECT goes on at a block's start.
    if (bytes < left) bytes -= bytes % file_->length_alignment;
    if (bytes == 0) return BlockStatus::kIoError; // the file became shorter below us
    if (!bounce_.empty() && request_->operation == BlockOperation::kRead) copy_bounce(false, bytes);
    done_bytes_ += bytes;
    if (done_bytes_ == request_->length_bytes) return BlockStatus::kOk;
    enter(stage_);
    return std::nullopt;
}

std::optional<BlockStatus> FileTask::fail(int error) {
    if ((error == EINTR || error == EAGAIN) && ++retries_ <= kMaxRetries) return std::nullopt; // the same step again
    if (!is_missing(error)) return status_of(error);
    switch (stage_) {
        case Stage::kDiscard: return BlockStatus::kUnsupported;
        case Stage::kUnmap:
            file_->can_punch_hole.store(false, std::memory_order_relaxed);
            enter(file_->can_zero_range.load(std::memory_order_relaxed) ? Stage::kZeroRange : Stage::kZeroWrite);
            return std::nullopt;
        case Stage::kZeroRange:
            file_->can_zero_range.store(false, std::memory_order_relaxed);
            enter(Stage::kZeroWrite);
            return std::nullopt;
        case Stage::kTransfer:
        case Stage::kFlush:
        case Stage::kZeroWrite:
        case Stage::kSync: break;
    }
    return BlockStatus::kIoError;
}

} // namespace touka::storage
