#include "runtime/manual_timers.hpp"

#include <algorithm>
#include <utility>

namespace touka::runtime {

struct ManualTimers::Schedule {
    std::uint64_t now_ns = 0;
    std::vector<ManualTimer*> armed;
};

class ManualTimers::ManualTimer final : public Timer {
public:
    ManualTimer(std::shared_ptr<Schedule> schedule, std::function<void()> on_expiry)
        : schedule_(std::move(schedule)), on_expiry_(std::move(on_expiry)) {}
    ~ManualTimer() override { disarm(); }

    void arm(std::uint64_t deadline) override {
        disarm();
        deadline_ns = deadline;
        schedule_->armed.push_back(this);
    }
    void disarm() override { std::erase(schedule_->armed, this); }
    void fire() {
        disarm();
        on_expiry_();
    }

    std::uint64_t deadline_ns = 0;

private:
    std::shared_ptr<Schedule> schedule_;
    std::function<void()> on_expiry_;
};

ManualTimers::ManualTimers() : schedule_(std::make_shared<Schedule>()) {}
ManualTimers::~ManualTimers() = default;

std::uint64_t ManualTimers::now_ns() const { return schedule_->now_ns; }

std::unique_ptr<Timer> ManualTimers::make_timer(std::function<void()> on_expiry) {
    return std::make_unique<ManualTimer>(schedule_, std::move(on_expiry));
}

void ManualTimers::advance(std::uint64_t duration_ns) {
    const std::uint64_t end_ns = schedule_->now_ns + duration_ns;
    for (;;) {
        const auto& armed = schedule_->armed;
        const auto next = std::ranges::min_element(armed, {}, &ManualTimer::deadline_ns);
        if (next == armed.end() || (*next)->deadline_ns > end_ns) break;
        schedule_->now_ns = std::max(schedule_->now_ns, (*next)->deadline_ns);
        (*next)->fire();
    }
    schedule_->now_ns = end_ns;
}

} // namespace touka::runtime
