#include "runtime/polled_set.hpp"

#include <utility>

namespace touka::runtime {

void PolledSet::remove(Pollable& pollable) { std::erase(members_, &pollable); }

bool PolledSet::look_once() {
    bool found = false;
    for (std::size_t i = 0; i < members_.size(); ++i) found |= members_[i]->poll(); // a member may be added meanwhile
    return found;
}

/// What came soon comes soon again: a wait as short as the last one is waited out awake. Somebody who takes longer
/// costs no processor time but once.
bool PolledSet::fall_asleep(std::uint64_t now_ns) {
    if (found_) {
        if (waiting_) expects_soon_ = now_ns - waiting_since_ns_ <= kShortWaitNs;
        waiting_ = false;
        return false;
    }
    if (!waiting_) waiting_since_ns_ = now_ns;
    waiting_ = true;
    if (expects_soon_ && now_ns - waiting_since_ns_ <= kShortWaitNs) return false;
    asleep_ = true;
    // All are asked, so that all may be told that they need not tell.
    bool may_sleep = true;
    for (Pollable* const each : members_) may_sleep = each->fall_asleep() && may_sleep;
    return may_sleep;
}

void PolledSet::wake_up() {
    if (!std::exchange(asleep_, false)) return;
    for (Pollable* const each : members_) each->wake_up();
}

} // namespace touka::runtime
