#pragma once

#include <memory>
#include <vector>

#include "runtime/timers.hpp"

namespace touka::runtime {

/// Timers whose clock only moves when a test says so. One thread.
class ManualTimers final : public Timers {
public:
    ManualTimers();
    ~ManualTimers() override;
    [[nodiscard]] std::uint64_t now_ns() const override;
    [[nodiscard]] std::unique_ptr<Timer> make_timer(std::function<void()> on_expiry) override;

    /// Moves the clock forward by `duration_ns`, firing what falls due in order of deadline, with now_ns()
    /// at each alarm's own deadline while it fires.
    void advance(std::uint64_t duration_ns);

private:
    struct Schedule;
    class ManualTimer;
    std::shared_ptr<Schedule> schedule_; // shared with the timers, which may outlive this object
};

} // namespace touka::runtime
