#include "storage/step_workers.hpp"

#include <pthread.h>
#include <sys/epoll.h>

#include <cassert>
#include <csignal>
#include <utility>

namespace touka::storage {

StepWorkers::StepWorkers(runtime::Reactor& reactor, int fd, unsigned thread_count, std::size_t capacity,
                         std::function<void(std::uint32_t, std::int64_t)> on_result)
    : fd_(fd), on_result_(std::move(on_result)), jobs_(capacity) {
    results_.reserve(capacity);
    delivering_.reserve(capacity);
    sigset_t all, before; // signals are for the program's own threads
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < thread_count; ++i) {
        threads_.emplace_back([this] {
            ::pthread_setname_np(::pthread_self(), "storage");
            work();
        });
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    watch_ = reactor.watch(done_.fd(), EPOLLIN, [this](std::uint32_t) { deliver(); });
}

StepWorkers::~StepWorkers() {
    watch_.reset();
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    job_ready_.notify_all();
}

void StepWorkers::start(std::uint32_t tag, const FileStep& step) {
    {
        const std::scoped_lock lock(mutex_);
        assert(job_count_ < jobs_.size());
        jobs_[(first_job_ + job_count_++) % jobs_.size()] = {tag, step};
    }
    job_ready_.notify_one();
}

void StepWorkers::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        job_ready_.wait(lock, [this] { return stopping_ || job_count_ > 0; });
        if (stopping_) return;
        const Job job = jobs_[first_job_];
        first_job_ = (first_job_ + 1) % jobs_.size();
        --job_count_;
        lock.unlock();
        const std::int64_t value = perform(fd_, job.step);
        lock.lock();
        results_.push_back({job.tag, value});
        if (results_.size() == 1) {
            done_.signal();
            result_ready_.notify_one();
        }
    }
}

void StepWorkers::deliver() {
    done_.consume();
    {
        const std::scoped_lock lock(mutex_);
        std::swap(results_, delivering_);
    }
    for (const Result& result : delivering_) on_result_(result.tag, result.value);
    delivering_.clear();
}

void StepWorkers::wait_and_deliver() {
    {
        std::unique_lock lock(mutex_);
        result_ready_.wait(lock, [this] { return !results_.empty(); });
    }
    deliver();
}

} // namespace touka::storage
