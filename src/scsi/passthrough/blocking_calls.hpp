#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/reactor.hpp"

namespace touka::scsi {

/// Threads for system calls that have no asynchronous form; their results come back to a reactor.
class BlockingCalls {
public:
    BlockingCalls(runtime::Reactor& reactor, unsigned thread_count);
    /// Waits for the calls that run; those that wait are not made, and nobody hears of either.
    ~BlockingCalls();
    BlockingCalls(const BlockingCalls&) = delete;
    BlockingCalls& operator=(const BlockingCalls&) = delete;

    /// @param call made on one of the threads, in order of arrival.  @param done called on the reactor with its result.
    void start(std::function<int()> call, std::function<void(int)> done);

private:
    struct Call {
        std::function<int()> call;
        std::function<void(int)> done;
    };
    void work();

    runtime::Reactor& reactor_;
    std::mutex mutex_; // guards calls_ and stopping_
    std::condition_variable ready_;
    std::deque<Call> calls_;
    bool stopping_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // what is posted may outlive this object
    std::vector<std::jthread> threads_;
};

} // namespace touka::scsi
