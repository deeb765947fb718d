// How long a halted processor looks for its wake-up before its thread sleeps.
#pragma once

#include <algorithm>
#include <chrono>

namespace touka::cpu::interpreter {

/// Sleeping and being woken takes the host longer than two processors that answer each other take to answer. So a
/// thread that is woken soon after it fell asleep watches for that long the next time, and one that is not sleeps at
/// once: an idle guest costs nothing.
class HaltPolling {
public:
    using Duration = std::chrono::nanoseconds;
    static constexpr Duration kShortest = std::chrono::microseconds(10), kLongest = std::chrono::microseconds(200);

    /// 0: sleep at once.
    [[nodiscard]] Duration window() const { return window_; }
    /// It watched in vain, if at all, and slept this long.
    void slept(Duration duration) {
        const bool was_short = duration + window_ <= kLongest;
        window_ = was_short ? std::clamp(window_ * 2, kShortest, kLongest) : Duration{};
    }

private:
    Duration window_{};
};

} // namespace touka::cpu::interpreter
