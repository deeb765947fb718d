#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include "storage/block_device.hpp"

namespace touka::scsi {

/// A command of several steps, written as a coroutine that starts at once and owns itself. One allocation each: for
/// commands whose steps cost far more than that; reads and writes do without.
struct Job {
    struct promise_type {
        Job get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

/// One request to a volume, awaited: `const BlockStatus status = co_await BlockTransfer(volume, request);`. Commits at
/// once. Lives in the coroutine's frame until it is done.
class BlockTransfer {
public:
    BlockTransfer(storage::BlockDevice& volume, storage::BlockRequest request)
        : volume_(volume), request_(std::move(request)) {}
    BlockTransfer(const BlockTransfer&) = delete;
    BlockTransfer& operator=(const BlockTransfer&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    /// @return false when it was done at once: the coroutine goes on without having slept.
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiter) {
        request_.complete = [this](storage::BlockStatus status) {
            status_ = status;
            done_ = true;
            if (waiter_) waiter_.resume();
        };
        volume_.submit(request_);
        volume_.commit();
        if (done_) return false;
        waiter_ = waiter;
        return true;
    }
    [[nodiscard]] storage::BlockStatus await_resume() const noexcept { return status_; }

private:
    storage::BlockDevice& volume_;
    storage::BlockRequest request_;
    std::coroutine_handle<> waiter_; // null while submitting
    storage::BlockStatus status_ = storage::BlockStatus::kOk;
    bool done_ = false;
};

} // namespace touka::scsi
