#pragma once

#include <algorithm>
#include <chrono>

namespace touka::devices::passthrough {

/// How long one client may keep a thread waiting that works for others, too. Each wait is free up to kFree; what is
/// longer is paid from an allowance that fills up with time: half of all time in the long run. That is much, since a
/// client on a host that is short of processors is as slow as one that means it. Not synchronised.
class WaitAllowance {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kFree{10}, kMost{10'000};
    static constexpr int kShare = 2; ///< one of so many parts of the time

    explicit WaitAllowance(Clock::time_point now) : filled_(now) {}

    /// Whether anything is left.
    [[nodiscard]] bool may_wait(Clock::time_point now) {
        const auto since = std::min<Clock::duration>(now - filled_, kMost * kShare);
        left_ = std::min<Clock::duration>(left_ + since / kShare, kMost);
        filled_ = now;
        return left_ > Clock::duration::zero();
    }
    void waited(Clock::duration time) { left_ -= std::max<Clock::duration>(time - kFree, Clock::duration::zero()); }

private:
    Clock::duration left_ = kMost;
    Clock::time_point filled_;
};

} // namespace touka::devices::passthrough
