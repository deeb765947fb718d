// One event loop, one thread: descriptors, alarms and posted work, each handled to the end before the next.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/pollable.hpp"
#include "runtime/timers.hpp"

namespace touka::runtime {

/// An event loop that owns a thread. Everything registered with it runs there, never two things at once.
class Reactor final : public Timers {
public:
    /// Starts the thread. @param name shown by ps and top, 15 characters at most.
    explicit Reactor(std::string name);
    /// Stops the loop after the handler that is running and joins the thread. Not callable from a handler.
    ~Reactor() override;
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    /// Keeps a descriptor watched; unwatches it when destroyed. After the destructor its handler neither runs
    /// nor will run (waits for it when called from another thread; also allowed from the handler itself).
    class Watch {
    public:
        virtual ~Watch() = default;
        /// Changes what is waited for: EPOLLIN, EPOLLOUT or both; 0 mutes it.
        virtual void set_events(std::uint32_t epoll_events) = 0;
    };
    /// Level-triggered, unless EPOLLET is among the events. The descriptor stays the caller's and must outlive the
    /// watch.
    /// @param on_ready gets the epoll events that are ready.
    [[nodiscard]] std::unique_ptr<Watch> watch(int fd, std::uint32_t epoll_events,
                                               std::function<void(std::uint32_t)> on_ready);

    /// Keeps something looked at, which ends when this is destroyed.
    class Polling {
    public:
        virtual ~Polling() = default;
    };
    /// While there are such, the loop looks at them instead of sleeping, and at everything else between two looks; it
    /// sleeps all the same where all of them allow it and nothing is expected soon.
    /// @pre on the reactor, as for the destruction of what is returned. `pollable` outlives it.
    [[nodiscard]] std::unique_ptr<Polling> poll(Pollable& pollable);

    /// Runs `work` on the reactor's thread, after what is queued. Any thread; what is still queued when the
    /// reactor stops is dropped.
    void post(std::function<void()> work);
    /// Runs `work` on the reactor's thread and returns when it is done; runs it at once when called there.
    void run_and_wait(const std::function<void()>& work);
    [[nodiscard]] bool in_reactor() const;

    [[nodiscard]] std::uint64_t now_ns() const override; ///< CLOCK_MONOTONIC
    [[nodiscard]] std::unique_ptr<Timer> make_timer(std::function<void()> on_expiry) override;

private:
    class Loop;
    class LoopPolling;
    class LoopTimer;
    class LoopWatch;
    std::shared_ptr<Loop> loop_; // shared with timers and watches, which may outlive the reactor
};

} // namespace touka::runtime
