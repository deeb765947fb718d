// When a machine is to go on on its other engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/timers.hpp"

namespace touka::machine {

/// An alarm for each of a list of times. @thread the control thread; `on_due` is called on that of the timers.
class EngineSwitches {
public:
    /// @param times_ms after start(), ascending.
    EngineSwitches(std::vector<std::uint64_t> times_ms, runtime::Timers& timers, std::function<void()> on_due);
    /// The machine begins to run. Once.
    void start();

private:
    void arm_next();
    void due();

    std::vector<std::uint64_t> times_ms_;
    runtime::Timers& timers_;
    std::function<void()> on_due_;
    std::uint64_t start_ns_ = 0;
    std::size_t next_ = 0; ///< of start(), then of the timers' thread
    std::unique_ptr<runtime::Timer> timer_;
};

} // namespace touka::machine
