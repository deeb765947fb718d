#include "scsi/passthrough/blocking_calls.hpp"

#include <utility>

namespace touka::scsi {

BlockingCalls::BlockingCalls(runtime::Reactor& reactor, unsigned thread_count) : reactor_(reactor) {
    for (unsigned i = 0; i < thread_count; ++i) threads_.emplace_back([this] { work(); });
}

BlockingCalls::~BlockingCalls() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    ready_.notify_all();
    threads_.clear();
}

void BlockingCalls::start(std::function<int()> call, std::function<void(int)> done) {
    {
        const std::scoped_lock lock(mutex_);
        calls_.push_back({std::move(call), std::move(done)});
    }
    ready_.notify_one();
}

void BlockingCalls::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        ready_.wait(lock, [this] { return stopping_ || !calls_.empty(); });
        if (stopping_) return;
        const Call next = std::move(calls_.front());
        calls_.pop_front();
        lock.unlock();
        const int result = next.call();
        reactor_.post([alive = std::weak_ptr(alive_), done = next.done, result] {
            if (alive.lock()) done(result);
        });
        lock.lock();
    }
}

} // namespace touka::scsi
