#pragma once

#include <coroutine>
#include <cstdint>

#include "scsi/disk/block_cdb.hpp"

namespace touka::scsi {

/// Keeps commands that must be atomic apart from others on the same blocks: COMPARE AND WRITE, ORWRITE, WRITE ATOMIC.
/// Others share blocks as they like. First come, first served among those that overlap. Costs two pointers' work where
/// no atomic command is about. (SBC-4 §4.22, §5.3)
class RangeLocks {
public:
    /// A command's hold on its blocks; in place from `acquire` to `release`.
    struct Claim {
        BlockRange range;
        bool exclusive = false;
        /// Called when a claim that had to wait is granted.
        void (*on_grant)(Claim&) = nullptr;
        /// Between `acquire` and `release`: is it not its turn yet?
        [[nodiscard]] bool waits() const { return !granted; }

    private:
        friend class RangeLocks;
        Claim* previous = nullptr;
        Claim* next = nullptr;
        bool granted = false;
    };

    /// @return true when granted at once; else on_grant comes later, from another claim's `release`.
    [[nodiscard]] bool acquire(Claim& claim);
    void release(Claim& claim);

private:
    [[nodiscard]] bool must_wait(const Claim& claim) const;

    Claim* first_ = nullptr; // by age
    Claim* last_ = nullptr;
    std::size_t exclusive_ = 0;
    std::size_t waiting_ = 0;
};

/// A claim for a coroutine: `co_await` it, and it is released at the end of its life.
class RangeHold {
public:
    RangeHold(RangeLocks& locks, BlockRange range, bool exclusive) : locks_(locks) {
        claim_.range = range;
        claim_.exclusive = exclusive;
        claim_.hold = this;
    }
    ~RangeHold() {
        if (claimed_) locks_.release(claim_);
    }
    RangeHold(const RangeHold&) = delete;
    RangeHold& operator=(const RangeHold&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        claimed_ = true;
        claim_.on_grant = [](RangeLocks::Claim& claim) { static_cast<HeldClaim&>(claim).hold->waiter_.resume(); };
        return !locks_.acquire(claim_);
    }
    void await_resume() const noexcept {}

private:
    struct HeldClaim : RangeLocks::Claim {
        RangeHold* hold = nullptr;
    };
    RangeLocks& locks_;
    HeldClaim claim_;
    std::coroutine_handle<> waiter_;
    bool claimed_ = false;
};

} // namespace touka::scsi
