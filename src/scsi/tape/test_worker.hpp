// For tests: a drive's worker without a thread.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "scsi/tape/tape_worker.hpp"

namespace touka::scsi {

/// Does the work at once, or when told to.
class TestWorker final : public TapeWorker {
public:
    void run(std::function<void()> work, std::function<void()> done) override {
        queue_.emplace_back([work = std::move(work), done = std::move(done)] {
            work();
            done();
        });
        if (!paused) drain();
    }
    void drain() {
        while (!queue_.empty()) {
            const auto next = std::move(queue_.front());
            queue_.erase(queue_.begin());
            next();
        }
    }
    bool paused = false;

private:
    std::vector<std::function<void()>> queue_;
};

} // namespace touka::scsi
