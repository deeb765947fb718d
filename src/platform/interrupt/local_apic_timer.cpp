#include "platform/interrupt/local_apic_timer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace touka::platform {

LocalApicTimer::LocalApicTimer(runtime::Timers& timers, std::function<void()> on_expiry)
    : timers_(timers), on_expiry_(std::move(on_expiry)), alarm_(timers.make_timer([this] { expire(); })) {}

std::uint64_t LocalApicTimer::period_ns() const { return std::uint64_t{initial_count_} * divisor_; }

void LocalApicTimer::run_until(std::uint64_t deadline_ns) {
    deadline_ns_ = deadline_ns;
    if (deadline_ns == 0)
        alarm_->disarm();
    else
        alarm_->arm(deadline_ns);
}

void LocalApicTimer::start(std::uint32_t count, std::uint32_t divisor) {
    const std::scoped_lock lock(mutex_);
    initial_count_ = count;
    divisor_ = divisor;
    tsc_deadline_ = 0;
    run_until(count == 0 ? 0 : timers_.now_ns() + period_ns());
}

void LocalApicTimer::set_periodic(bool periodic) {
    const std::scoped_lock lock(mutex_);
    periodic_ = periodic;
}

void LocalApicTimer::set_divisor(std::uint32_t divisor) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    if (tsc_deadline_ == 0 && deadline_ns_ > now_ns) run_until(now_ns + (deadline_ns_ - now_ns) / divisor_ * divisor);
    divisor_ = divisor;
}

std::uint32_t LocalApicTimer::current_count() const {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    if (tsc_deadline_ != 0 || deadline_ns_ <= now_ns) return 0;
    return static_cast<std::uint32_t>((deadline_ns_ - now_ns + divisor_ - 1) / divisor_);
}

void LocalApicTimer::start_deadline(std::uint64_t tsc_deadline, std::uint64_t delay_ns) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    tsc_deadline_ = tsc_deadline;
    run_until(now_ns + std::min(delay_ns, std::numeric_limits<std::uint64_t>::max() - 1 - now_ns));
}

std::uint64_t LocalApicTimer::tsc_deadline() const {
    const std::scoped_lock lock(mutex_);
    return tsc_deadline_;
}

void LocalApicTimer::stop() {
    const std::scoped_lock lock(mutex_);
    tsc_deadline_ = 0;
    run_until(0);
}

std::uint64_t LocalApicTimer::remaining_ns() const {
    const std::scoped_lock lock(mutex_);
    if (deadline_ns_ == 0) return 0;
    return std::max<std::uint64_t>(deadline_ns_ - std::min(deadline_ns_, timers_.now_ns()), 1);
}

void LocalApicTimer::resume(std::uint32_t initial_count, std::uint32_t divisor, bool periodic,
                            std::uint64_t remaining_ns) {
    const std::scoped_lock lock(mutex_);
    initial_count_ = initial_count;
    divisor_ = divisor;
    periodic_ = periodic;
    tsc_deadline_ = 0;
    const std::uint64_t bounded_ns = std::min(remaining_ns, period_ns());
    run_until(bounded_ns == 0 ? 0 : timers_.now_ns() + bounded_ns);
}

void LocalApicTimer::expire() {
    {
        const std::scoped_lock lock(mutex_);
        const std::uint64_t now_ns = timers_.now_ns();
        // Set up anew since the alarm went off: the new deadline has its own alarm.
        if (deadline_ns_ == 0 || now_ns < deadline_ns_) return;
        if (periodic_ && tsc_deadline_ == 0 && initial_count_ != 0) {
            const std::uint64_t period = std::max(period_ns(), kMinimumPeriodNs);
            run_until(deadline_ns_ + ((now_ns - deadline_ns_) / period + 1) * period); // missed periods stay missed
        } else {
            deadline_ns_ = 0;
            tsc_deadline_ = 0;
        }
    }
    on_expiry_();
}

} // namespace touka::platform
