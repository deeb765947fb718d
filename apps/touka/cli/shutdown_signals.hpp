#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "runtime/unique_fd.hpp"

namespace touka::cli {

/// Turns SIGTERM, SIGINT and SIGHUP into an orderly end: the first presses the guest's power button, the second or the
/// end of the grace time pulls the plug. A terminal in raw mode sends no SIGINT: Ctrl-C is the guest's there.
///
/// To be made before any other thread: they inherit that the signals are blocked.
class ShutdownSignals {
public:
    ShutdownSignals();
    ~ShutdownSignals();
    ShutdownSignals(const ShutdownSignals&) = delete;
    ShutdownSignals& operator=(const ShutdownSignals&) = delete;

    struct Actions {
        std::function<void()> press_power_button;
        std::function<void()> pull_plug;
    };
    /// Calls the actions from a thread of its own until forget().
    void watch(Actions actions, std::chrono::milliseconds grace);
    /// After it returns no action runs any more. What was pressed is forgotten.
    void forget();

private:
    void serve(const Actions& actions, std::chrono::milliseconds grace) const;

    runtime::UniqueFd signals_, wake_up_;
    std::thread thread_;
};

} // namespace touka::cli
