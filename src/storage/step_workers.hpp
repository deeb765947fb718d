#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/notification.hpp"
#include "runtime/reactor.hpp"
#include "storage/file_step.hpp"

namespace touka::storage {

/// Threads that do steps on a file where io_uring cannot, and bring the results back to a reactor.
class StepWorkers {
public:
    /// @param capacity steps that wait or run at once, at most.
    /// @param on_result called on the reactor's thread with the tag given to `start`.
    StepWorkers(runtime::Reactor& reactor, int fd, unsigned thread_count, std::size_t capacity,
                std::function<void(std::uint32_t tag, std::int64_t result)> on_result);
    /// Lets the steps that run end; those that wait are not done, and nobody hears of either.
    ~StepWorkers();

    /// @param step copied; what it points to stays valid until its result came.  @pre on the reactor's thread
    void start(std::uint32_t tag, const FileStep& step);
    /// Waits until there are results and delivers them; for a queue that is torn down.
    void wait_and_deliver();

private:
    struct Job {
        std::uint32_t tag;
        FileStep step;
    };
    struct Result {
        std::uint32_t tag;
        std::int64_t value;
    };
    void work();
    void deliver();

    int fd_;
    std::function<void(std::uint32_t, std::int64_t)> on_result_;
    std::mutex mutex_; // guards jobs_, results_ and stopping_; no other lock inside
    std::condition_variable job_ready_, result_ready_;
    std::vector<Job> jobs_; // a ring of `capacity` places
    std::size_t first_job_ = 0, job_count_ = 0;
    std::vector<Result> results_;
    bool stopping_ = false;
    std::vector<Result> delivering_; // the reactor's
    runtime::Notification done_;
    std::vector<std::jthread> threads_;
    std::unique_ptr<runtime::Reactor::Watch> watch_;
};

} // namespace touka::storage
