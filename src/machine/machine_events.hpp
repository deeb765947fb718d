// What happens to a machine from within and without, one after the other on its control thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace touka::machine {

enum class MachineEvent : std::uint8_t {
    kPoweredOff,        ///< the guest entered S5
    kResetByGuest,      ///< reset register, keyboard controller
    kShutdownRequested, ///< somebody outside wants an orderly end
    kStopRequested,     ///< somebody outside wants an end now
    kEngineSwitchDue,   ///< it is time to go on on the other engine
    kProcessorShutdown, ///< triple fault
    kProcessorFailed,   ///< the engine cannot go on
    kProcessorDiffered, ///< the engine's check of itself found a difference
    kWork,              ///< take_work() has something to do
};

/// A queue with many writers and the control thread as its reader. put() never waits; devices call it from vCPU
/// threads.
class MachineEvents {
public:
    void put(MachineEvent event) {
        {
            const std::scoped_lock lock(mutex_);
            events_.push_back(event);
        }
        arrived_.notify_one();
    }
    /// Runs `work` on the control thread, after what is queued; if the machine ends before, it is dropped.
    void post(std::function<void()> work) {
        {
            const std::scoped_lock lock(mutex_);
            work_.push_back(std::move(work));
        }
        put(MachineEvent::kWork);
    }
    /// One for each kWork. @thread control
    [[nodiscard]] std::function<void()> take_work() {
        const std::scoped_lock lock(mutex_);
        auto work = std::move(work_.front());
        work_.pop_front();
        return work;
    }
    [[nodiscard]] MachineEvent take() {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [this] { return !events_.empty(); });
        const MachineEvent event = events_.front();
        events_.pop_front();
        return event;
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<MachineEvent> events_;
    std::deque<std::function<void()>> work_;
};

} // namespace touka::machine
