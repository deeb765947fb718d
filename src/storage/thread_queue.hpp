#pragma once

#include "runtime/reactor.hpp"
#include "storage/step_workers.hpp"
#include "storage/task_queue.hpp"

namespace touka::storage {

/// A queue on a file by threads that call the kernel and wait: for hosts that forbid io_uring, as many
/// containers do.
class ThreadQueue final : public TaskQueue {
public:
    ThreadQueue(OpenFile& file, runtime::Reactor& reactor, std::uint32_t depth);
    /// Waits for what is in flight and completes it.
    ~ThreadQueue() override;
    void commit() override {} // the threads began at once

private:
    static constexpr unsigned kThreadCount = 4;
    void start(std::uint32_t task_index) override;

    StepWorkers workers_;
};

} // namespace touka::storage
