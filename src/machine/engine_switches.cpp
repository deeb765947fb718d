#include "machine/engine_switches.hpp"

#include <utility>

namespace touka::machine {

EngineSwitches::EngineSwitches(std::vector<std::uint64_t> times_ms, runtime::Timers& timers,
                               std::function<void()> on_due)
    : times_ms_(std::move(times_ms)), timers_(timers), on_due_(std::move(on_due)),
      timer_(timers.make_timer([this] { due(); })) {}

void EngineSwitches::start() {
    start_ns_ = timers_.now_ns();
    arm_next();
}

void EngineSwitches::arm_next() {
    constexpr std::uint64_t kNsPerMs = 1'000'000;
    if (next_ < times_ms_.size()) timer_->arm(start_ns_ + times_ms_[next_] * kNsPerMs);
}

void EngineSwitches::due() {
    ++next_;
    on_due_();
    arm_next();
}

} // namespace touka::machine
