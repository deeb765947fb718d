#include "storage/uring_queue.hpp"

#include <sys/epoll.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

namespace touka::storage {

namespace {

/// A ring for the calling thread.
bool make_ring(io_uring& ring, unsigned entries) {
    // Completions wait for the next entry into the kernel instead of interrupting the thread (Linux 5.19). Nor may they
    // wait until they are asked for (IORING_SETUP_DEFER_TASKRUN): who sleeps in epoll would not be told of them.
    if (::io_uring_queue_init(entries, &ring, IORING_SETUP_COOP_TASKRUN) != 0 &&
        ::io_uring_queue_init(entries, &ring, 0) != 0) {
        return false;
    }
    // The thread enters it by a number of its own, which the kernel need not look up (5.18).
    (void)::io_uring_register_ring_fd(&ring);
    return true;
}

constexpr std::size_t kLongestSingleBytes = 1 << 30; // below what the kernel moves at once

void prepare(io_uring_sqe* entry, int fd, const FileStep& step) {
    switch (step.kind) {
        case FileStep::Kind::kRead:
            // One buffer, as nearly always, needs no list that the kernel would copy first.
            if (step.vector_count == 1 && step.vectors->iov_len <= kLongestSingleBytes) {
                return ::io_uring_prep_read(entry, fd, step.vectors->iov_base,
                                            static_cast<unsigned>(step.vectors->iov_len), step.offset_bytes);
            }
            return ::io_uring_prep_readv(entry, fd, step.vectors, step.vector_count, step.offset_bytes);
        case FileStep::Kind::kWrite:
            return ::io_uring_prep_writev2(entry, fd, step.vectors, step.vector_count, step.offset_bytes,
                                           step.synchronous ? RWF_DSYNC : 0);
        case FileStep::Kind::kSync: return ::io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
        case FileStep::Kind::kAllocate:
            // liburing 2.3 declares offset and length as off_t
            return ::io_uring_prep_fallocate(entry, fd, step.mode, static_cast<off_t>(step.offset_bytes),
                                             static_cast<off_t>(step.length_bytes));
        case FileStep::Kind::kDiscard: assert(false && "discards of block devices go to the thread"); return;
    }
}

} // namespace

bool UringQueue::permitted() {
    io_uring ring{};
    if (!make_ring(ring, 1)) return false;
    ::io_uring_queue_exit(&ring);
    return true;
}

std::unique_ptr<UringQueue> UringQueue::create(OpenFile& file, runtime::Reactor& reactor, std::uint32_t depth) {
    io_uring ring{};
    bool made = false;
    reactor.run_and_wait([&] { made = make_ring(ring, depth); });
    if (!made) return nullptr;
    return std::unique_ptr<UringQueue>(new UringQueue(file, reactor, depth, ring));
}

UringQueue::UringQueue(OpenFile& file, runtime::Reactor& reactor, std::uint32_t depth, const io_uring& ring)
    : TaskQueue(file, depth), reactor_(reactor), ring_(ring) {
    const int fd = file.fd.get();
    reactor.run_and_wait([&] {
        // What blocks in the kernel keeps one of the thread's workers, which all its rings share and of which there
        // are four for each CPU by default: a file that hangs would stop the others.
        std::array<unsigned, 2> worker_limits{kWorkerLimit, 0};
        (void)::io_uring_register_iowq_max_workers(&ring_, worker_limits.data()); // an older kernel has no such limit
        fixed_file_ = ::io_uring_register_files(&ring_, &fd, 1) == 0;
    });
    if (file.block_device) {
        discarder_ =
            std::make_unique<StepWorkers>(reactor, fd, 1, depth, [this](std::uint32_t index, std::int64_t result) {
                --discards_in_flight_;
                on_result(index, result);
                commit();
            });
    }
    retry_ = reactor.make_timer([this] { commit(); });
    watch_ = reactor.watch(ring_.ring_fd, EPOLLIN, [this](std::uint32_t) { commit(); });
}

UringQueue::~UringQueue() {
    watch_.reset();
    retry_.reset();
    reactor_.run_and_wait([this] { drain(); });
}

void UringQueue::drain() {
    committing_ = true; // completions no longer enter the kernel themselves
    if (lone_) put_into_ring(*std::exchange(lone_, std::nullopt));
    while (in_flight() > 0) {
        if (discards_in_flight_ > 0) {
            discarder_->wait_and_deliver();
        } else {
            ::io_uring_submit_and_wait(&ring_, 1);
            reap();
        }
    }
    ::io_uring_queue_exit(&ring_);
}

void UringQueue::start(std::uint32_t task_index) {
    const FileStep& step = task(task_index).step();
    if (step.kind == FileStep::Kind::kDiscard) {
        ++discards_in_flight_;
        return discarder_->start(task_index, step);
    }
    const bool may_be_there = step.kind == FileStep::Kind::kRead && file().cached && !file().submission_waits;
    if (may_be_there && !lone_ && ::io_uring_sq_ready(&ring_) == 0) {
        lone_ = task_index;
        return;
    }
    if (lone_) put_into_ring(*std::exchange(lone_, std::nullopt));
    put_into_ring(task_index);
}

/// What the page cache has comes at once; the rest goes through the ring, where nobody waits for it.
bool UringQueue::read_at_once() {
    const std::uint32_t task_index = *std::exchange(lone_, std::nullopt);
    const FileStep& step = task(task_index).step();
    const ssize_t result = ::preadv2(file().fd.get(), step.vectors, static_cast<int>(step.vector_count),
                                     static_cast<off_t>(step.offset_bytes), RWF_NOWAIT);
    if (result <= 0) {
        put_into_ring(task_index);
        return false;
    }
    on_result(task_index, result);
    return true;
}

void UringQueue::put_into_ring(std::uint32_t task_index) {
    const FileStep& step = task(task_index).step();
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    assert(entry != nullptr && "a task has one entry at most and the ring one for each");
    prepare(entry, fixed_file_ ? 0 : file().fd.get(), step);
    if (fixed_file_) entry->flags |= IOSQE_FIXED_FILE;
    if (file().submission_waits) entry->flags |= IOSQE_ASYNC;
    ::io_uring_sqe_set_data64(entry, task_index);
}

void UringQueue::commit() {
    if (committing_) return; // a completion submits and commits: the loop below takes it along
    committing_ = true;
    bool ended = true; // some of it: that may have brought more
    for (unsigned round = 0; ended && round < kMaxRounds; ++round) {
        ended = lone_ && read_at_once();
        enter_kernel();
        ended |= reap();
    }
    if (lone_) put_into_ring(*std::exchange(lone_, std::nullopt));
    enter_kernel();
    committing_ = false;
}

void UringQueue::enter_kernel() {
    while (::io_uring_sq_ready(&ring_) > 0) {
        const int result = ::io_uring_submit(&ring_);
        if (result > 0 || result == -EINTR) continue;
        // The kernel is short of memory or of completion room for a moment: nothing is lost, ask again soon.
        retry_->arm(reactor_.now_ns() + kRetryNs);
        return;
    }
}

bool UringQueue::reap() {
    if (in_flight() == discards_in_flight_ + (lone_ ? 1 : 0)) return false; // the ring has nothing
    std::array<io_uring_cqe*, kReapBatch> batch;
    const unsigned count = ::io_uring_peek_batch_cqe(&ring_, batch.data(), kReapBatch);
    // Copied out first: a completion may come back here and take entries.
    struct Result {
        std::uint32_t task_index;
        std::int32_t value;
    };
    std::array<Result, kReapBatch> results;
    for (unsigned i = 0; i < count; ++i)
        results[i] = {static_cast<std::uint32_t>(::io_uring_cqe_get_data64(batch[i])), batch[i]->res};
    ::io_uring_cq_advance(&ring_, count);
    for (unsigned i = 0; i < count; ++i) on_result(results[i].task_index, results[i].value);
    return count > 0;
}

} // namespace touka::storage
