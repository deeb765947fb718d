#include "memory/dma_holds.hpp"

#include <atomic>
#include <cassert>
#include <utility>

namespace touka::memory {

namespace {

constexpr std::size_t kKeptRanges = 1024;

} // namespace

DmaHold::DmaHold(DmaHold&& other) noexcept : ranges_(std::move(other.ranges_)) { assert(!other.active_); }

void DmaHold::end() {
    if (std::exchange(active_, false)) {
        if (holds_ != nullptr) std::exchange(holds_, nullptr)->end(*this); // until then others read the ranges
        use_.end();
    }
    ranges_.clear();
    if (ranges_.capacity() > kKeptRanges) std::vector<Range>().swap(ranges_); // a guest must not make it grow for good
}

void DmaHolds::begin(DmaHold& hold) {
    const std::scoped_lock lock(mutex_);
    hold.index_ = active_.size();
    active_.push_back(&hold);
}

void DmaHolds::end(DmaHold& hold) {
    std::vector<std::function<void()>> waiting;
    {
        const std::scoped_lock lock(mutex_);
        active_[hold.index_] = active_.back();
        active_[hold.index_]->index_ = hold.index_;
        active_.pop_back();
        waiting = std::exchange(hold.waiting_, {});
    }
    for (const auto& over : waiting) over();
}

void DmaHolds::when_over(const std::function<bool(const DmaHold&)>& affected, std::function<void()> done) {
    struct Rest {
        std::atomic<std::size_t> count{1}; // this function's own
        std::function<void()> done;
    };
    const auto rest = std::make_shared<Rest>();
    rest->done = std::move(done);
    const auto part = [rest] {
        if (rest->count.fetch_sub(1) == 1) rest->done();
    };
    {
        const std::scoped_lock lock(mutex_);
        for (DmaHold* const hold : active_) {
            if (!affected(*hold)) continue;
            ++rest->count;
            hold->waiting_.push_back(part);
        }
    }
    part();
}

} // namespace touka::memory
