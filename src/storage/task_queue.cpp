#include "storage/task_queue.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>

namespace touka::storage {

namespace {

/// Why a request is refused before the kernel sees it.
std::optional<BlockStatus> refusal(const BlockGeometry& geometry, const BlockRequest& request) {
    if (request.operation == BlockOperation::kFlush) return std::nullopt;
    if (request.operation != BlockOperation::kRead && geometry.read_only) return BlockStatus::kReadOnly;
    if (request.offset_bytes % geometry.logical_block_bytes != 0 ||
        request.length_bytes % geometry.logical_block_bytes != 0 || request.offset_bytes > geometry.size_bytes ||
        request.length_bytes > geometry.size_bytes - request.offset_bytes) {
        return BlockStatus::kOutOfRange;
    }
    if (request.operation == BlockOperation::kRead || request.operation == BlockOperation::kWrite) {
        std::uint64_t left = request.length_bytes;
        for (const iovec& buffer : request.buffers) {
            if (buffer.iov_len > left) return BlockStatus::kOutOfRange;
            left -= buffer.iov_len;
        }
        if (left != 0) return BlockStatus::kOutOfRange;
    }
    if (request.operation == BlockOperation::kDiscard && geometry.discard_granularity_bytes == 0) {
        return BlockStatus::kUnsupported;
    }
    if (request.length_bytes == 0) return BlockStatus::kOk;
    return std::nullopt;
}

} // namespace

TaskQueue::TaskQueue(OpenFile& file, std::uint32_t depth) : file_(file), tasks_(depth), free_tasks_(depth) {
    std::iota(free_tasks_.begin(), free_tasks_.end(), 0u);
    waiting_.reserve(std::size_t{depth} * 4);
    if (file.memory_alignment == 1 && file.length_alignment == 1) return;
    void* const memory =
        ::mmap(nullptr, kBounceBytes * kBounceCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        std::perror("touka: memory for direct I/O");
        std::abort();
    }
    bounce_memory_.reset(static_cast<std::byte*>(memory));
    for (std::size_t i = 0; i < kBounceCount; ++i) {
        free_bounces_.emplace_back(bounce_memory_.get() + i * kBounceBytes, kBounceBytes);
    }
}

void TaskQueue::submit(BlockRequest& request) {
    if (const auto status = refusal(file_.geometry, request)) return request.complete(*status);
    ++in_flight_;
    if (first_waiting_ < waiting_.size() || !launch(request)) waiting_.push_back(&request);
}

bool TaskQueue::withdraw(BlockRequest& request) {
    const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(first_waiting_);
    const auto found = std::find(first, waiting_.end(), &request);
    if (found == waiting_.end()) return false;
    waiting_.erase(found);
    --in_flight_;
    return true;
}

bool TaskQueue::launch(BlockRequest& request) {
    const bool bounced = FileTask::needs_bounce(file_, request);
    if (free_tasks_.empty() || (bounced && free_bounces_.empty())) return false;
    const std::uint32_t index = free_tasks_.back();
    free_tasks_.pop_back();
    std::span<std::byte> bounce;
    if (bounced) {
        bounce = free_bounces_.back();
        free_bounces_.pop_back();
    }
    tasks_[index].begin(file_, request, bounce);
    start(index);
    return true;
}

void TaskQueue::launch_waiting() {
    while (first_waiting_ < waiting_.size() && launch(*waiting_[first_waiting_])) ++first_waiting_;
    if (first_waiting_ < waiting_.size()) return;
    waiting_.clear();
    first_waiting_ = 0;
}

void TaskQueue::on_result(std::uint32_t task_index, std::int64_t result) {
    FileTask& finished = tasks_[task_index];
    const auto status = finished.finish_step(result);
    if (!status) return start(task_index);
    BlockRequest& request = finished.request();
    if (!finished.bounce().empty()) free_bounces_.push_back(finished.bounce());
    free_tasks_.push_back(task_index);
    --in_flight_;
    launch_waiting();
    request.complete(*status); // last: it may submit again, or drop the queue's owner into other work
}

BlockExtent TaskQueue::extent_at(std::uint64_t offset_bytes) const {
    const std::uint64_t size_bytes = file_.geometry.size_bytes;
    if (file_.block_device) return {size_bytes - offset_bytes, true};
    const auto offset = static_cast<off_t>(offset_bytes);
    // The file's position moves, which nothing here uses.
    const off_t data = ::lseek(file_.fd.get(), offset, SEEK_DATA);
    if (data < 0) return {size_bytes - offset_bytes, errno != ENXIO};
    if (data > offset) return {std::min(static_cast<std::uint64_t>(data), size_bytes) - offset_bytes, false};
    const off_t hole = ::lseek(file_.fd.get(), offset, SEEK_HOLE);
    const std::uint64_t end = hole < 0 ? size_bytes : std::min(static_cast<std::uint64_t>(hole), size_bytes);
    return {end - offset_bytes, true};
}

void TaskQueue::prefetch(std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    (void)::posix_fadvise(file_.fd.get(), static_cast<off_t>(offset_bytes), static_cast<off_t>(length_bytes),
                          POSIX_FADV_WILLNEED);
}

} // namespace touka::storage
