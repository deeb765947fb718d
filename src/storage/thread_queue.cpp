#include "storage/thread_queue.hpp"

namespace touka::storage {

ThreadQueue::ThreadQueue(OpenFile& file, runtime::Reactor& reactor, std::uint32_t depth)
    : TaskQueue(file, depth), workers_(reactor, file.fd.get(), kThreadCount, depth,
                                       [this](std::uint32_t index, std::int64_t result) { on_result(index, result); }) {
}

ThreadQueue::~ThreadQueue() {
    while (in_flight() > 0) workers_.wait_and_deliver();
}

void ThreadQueue::start(std::uint32_t task_index) { workers_.start(task_index, task(task_index).step()); }

} // namespace touka::storage
