// Time as devices see it: a monotonic clock and one-shot alarms, passed in so that tests own time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace touka::runtime {

/// A one-shot alarm. Destroying it disarms it: after the destructor its callback neither runs nor will run.
class Timer {
public:
    virtual ~Timer() = default;
    /// Fires once, at or soon after `deadline_ns` of the clock that made it; replaces what was armed before.
    /// Callable from any thread, also from the callback itself.
    virtual void arm(std::uint64_t deadline_ns) = 0;
    /// The callback may be running on its thread when this returns, but will not start again.
    virtual void disarm() = 0;
};

/// Where devices get the time and their alarms. Implementations: Reactor, ManualTimers (tests).
class Timers {
public:
    virtual ~Timers() = default;
    /// Monotonic nanoseconds; the epoch is arbitrary. Any thread.
    [[nodiscard]] virtual std::uint64_t now_ns() const = 0;
    /// @param on_expiry runs on the reactor's thread (in tests: inside ManualTimers::advance).
    [[nodiscard]] virtual std::unique_ptr<Timer> make_timer(std::function<void()> on_expiry) = 0;
};

} // namespace touka::runtime
