#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/timers.hpp"
#include "scsi/task.hpp"

namespace touka::scsi {

/// How long whoever aborts tasks waits for them. Linux waits 10 s for an answer to task management and 30 s for a
/// command; a host's disk that repeats a failed request needs a second or two.
inline constexpr std::uint64_t kAbortLimitNs = 5'000'000'000;

/// Who waits for aborted tasks to end, and how long. On the unit's reactor.
class Abortions {
public:
    /// What becomes of somebody who waits for tasks that neither end in time nor can be given up.
    enum class WhenLate : std::uint8_t { kTell, kKeepWaiting };
    /// Called once. @param all_ended false: in time not all of the tasks have ended.
    using Done = std::function<void(bool all_ended)>;

    /// Nobody waits longer than that from now on; before, it takes as long as it takes.
    /// @param on_late called when somebody has waited so long: then `late` and `expire` have something.
    void limit(runtime::Timers& timers, std::uint64_t limit_ns, std::function<void()> on_late);

    /// @param tasks not empty; each is told by `remove`.
    void add(std::vector<Task*> tasks, WhenLate when_late, Done done);
    /// The task has ended or was given up. @return those who waited for nothing else, to be called once it is gone.
    [[nodiscard]] std::vector<Done> remove(const Task& task);
    /// The tasks that somebody has waited for too long, each once.
    [[nodiscard]] std::vector<Task*> late() const;
    /// Nobody's time runs on: those that cannot keep waiting are taken out. @return them, to be told.
    [[nodiscard]] std::vector<Done> expire();

private:
    struct Waiter {
        std::vector<Task*> left;
        WhenLate when_late;
        std::optional<std::uint64_t> deadline_ns;
        Done done;
    };
    [[nodiscard]] bool is_late(const Waiter& waiter) const;
    void arm();

    runtime::Timers* timers_ = nullptr;
    std::uint64_t limit_ns_ = 0;
    std::unique_ptr<runtime::Timer> timer_;
    std::vector<Waiter> waiters_; // by age
};

} // namespace touka::scsi
