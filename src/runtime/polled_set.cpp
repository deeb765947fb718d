#include "runtime/polled_set.hpp"

#include <algorithm>
#include <utility>

namespace touka::runtime {

void PolledSet::remove(Pollable& pollable) { std::erase(members_, &pollable); }

bool PolledSet::look_once() {
    bool found = false;
    for (std::size_t i = 0; i < members_.size(); ++i) found |= members_[i]->poll(); // a member may be added meanwhile
    return found;
}

bool PolledSet::fall_asleep(std::uint64_t now_ns) {
    if (found_) {
        wait_over(now_ns);
        return false;
    }
    if (!waiting_since_ns_) waiting_since_ns_ = now_ns;
    if (expects_soon_) {
        if (now_ns - *waiting_since_ns_ <= kShortWaitNs) return false;
        expects_soon_ = false;
        failed_tries_ = std::min(failed_tries_ + 1, kPatience);
        waits_to_sleep_ = 1u << failed_tries_;
    }
    asleep_ = true;
    // All are asked, so that all may be told that they need not tell.
    sleepless_ = false;
    for (Pollable* const each : members_) sleepless_ |= !each->fall_asleep();
    return !sleepless_;
}

void PolledSet::wait_over(std::uint64_t now_ns) {
    if (!waiting_since_ns_) return;
    const std::uint64_t waited_ns = now_ns - *std::exchange(waiting_since_ns_, std::nullopt);
    if (expects_soon_) {
        failed_tries_ = 0;
    } else if (waits_to_sleep_ > 0) {
        --waits_to_sleep_;
    } else {
        expects_soon_ = waited_ns <= kShortSleepNs;
    }
}

void PolledSet::wake_up() {
    if (!std::exchange(asleep_, false)) return;
    for (Pollable* const each : members_) each->wake_up();
}

} // namespace touka::runtime
