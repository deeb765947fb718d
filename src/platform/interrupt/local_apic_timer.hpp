#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "runtime/timers.hpp"

namespace touka::platform {

/// The local APIC's timer: one-shot and periodic counts of its input clock, and TSC deadlines.
/// (Intel SDM vol. 3 rev. 084 §11.5.4) Set up on the vCPU's thread, expires on the reactor's; has its own lock,
/// which is never held during `on_expiry`.
class LocalApicTimer {
public:
    /// The input clock, one count per nanosecond before division. Guests measure it.
    static constexpr std::uint64_t kFrequencyHz = 1'000'000'000;
    /// Periods below are stretched to it: a guest must not keep the host's reactor busy.
    static constexpr std::uint64_t kMinimumPeriodNs = 50'000;

    LocalApicTimer(runtime::Timers& timers, std::function<void()> on_expiry);

    /// Counts down from `count`, 0 stops. @param divisor 1 ..= 128.
    void start(std::uint32_t count, std::uint32_t divisor);
    /// What happens at zero: again from the same count, or stop.
    void set_periodic(bool periodic);
    /// Remaining counts stay, and last `divisor` clocks each from now on.
    void set_divisor(std::uint32_t divisor);
    [[nodiscard]] std::uint32_t current_count() const;

    /// TSC-deadline mode: expires when `delay_ns` have passed. @param tsc_deadline what tsc_deadline() reads until
    /// then.
    void start_deadline(std::uint64_t tsc_deadline, std::uint64_t delay_ns);
    [[nodiscard]] std::uint64_t tsc_deadline() const;
    void stop();

    /// Nanoseconds until the next expiry; 0 when stopped.
    [[nodiscard]] std::uint64_t remaining_ns() const;
    /// Goes on where remaining_ns() was read. @param initial_count what a periodic timer starts again from.
    void resume(std::uint32_t initial_count, std::uint32_t divisor, bool periodic, std::uint64_t remaining_ns);

private:
    void expire();
    [[nodiscard]] std::uint64_t period_ns() const;
    void run_until(std::uint64_t deadline_ns);

    runtime::Timers& timers_;
    std::function<void()> on_expiry_;
    mutable std::mutex mutex_; // guards what follows
    std::uint32_t initial_count_ = 0;
    std::uint32_t divisor_ = 2;
    bool periodic_ = false;
    std::uint64_t deadline_ns_ = 0; // 0: stopped
    std::uint64_t tsc_deadline_ = 0;
    std::unique_ptr<runtime::Timer> alarm_;
};

} // namespace touka::platform
