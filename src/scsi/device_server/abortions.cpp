#include "scsi/device_server/abortions.hpp"

#include <algorithm>
#include <utility>

namespace touka::scsi {

void Abortions::limit(runtime::Timers& timers, std::uint64_t limit_ns, std::function<void()> on_late) {
    timers_ = &timers;
    limit_ns_ = limit_ns;
    timer_ = timers.make_timer(std::move(on_late));
}

void Abortions::add(std::vector<Task*> tasks, WhenLate when_late, Done done) {
    Waiter& waiter = waiters_.emplace_back(Waiter{std::move(tasks), when_late, std::nullopt, std::move(done)});
    if (timers_ == nullptr) return;
    waiter.deadline_ns = timers_->now_ns() + limit_ns_;
    arm();
}

std::vector<Abortions::Done> Abortions::remove(const Task& task) {
    std::vector<Done> finished;
    for (Waiter& waiter : waiters_) {
        std::erase(waiter.left, &task);
        if (waiter.left.empty()) finished.push_back(std::move(waiter.done));
    }
    std::erase_if(waiters_, [](const Waiter& waiter) { return waiter.left.empty(); });
    return finished;
}

bool Abortions::is_late(const Waiter& waiter) const {
    return waiter.deadline_ns && *waiter.deadline_ns <= timers_->now_ns();
}

std::vector<Task*> Abortions::late() const {
    std::vector<Task*> tasks;
    for (const Waiter& waiter : waiters_) {
        if (is_late(waiter)) tasks.insert(tasks.end(), waiter.left.begin(), waiter.left.end());
    }
    std::ranges::sort(tasks);
    tasks.erase(std::ranges::unique(tasks).begin(), tasks.end());
    return tasks;
}

std::vector<Abortions::Done> Abortions::expire() {
    std::vector<Done> told;
    std::erase_if(waiters_, [&](Waiter& waiter) {
        if (!is_late(waiter)) return false;
        waiter.deadline_ns.reset();
        if (waiter.when_late == WhenLate::kKeepWaiting) return false;
        told.push_back(std::move(waiter.done));
        return true;
    });
    arm();
    return told;
}

/// All wait equally long, so that the oldest with a deadline has the first one.
void Abortions::arm() {
    const auto next = std::ranges::find_if(waiters_, [](const Waiter& w) { return w.deadline_ns.has_value(); });
    if (next != waiters_.end()) timer_->arm(*next->deadline_ns);
}

} // namespace touka::scsi
