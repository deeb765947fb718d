#pragma once

#include <cstddef>
#include <functional>
#include <utility>

namespace touka::scsi {

/// Work of a unit that goes on without a task: formatting, sanitizing and flushing with IMMED. Whoever destroys the
/// unit stops it first and waits for its end. On the unit's reactor.
class BackgroundJobs {
public:
    /// Held by a job for as long as it runs, as the first of its variables.
    class Running {
    public:
        explicit Running(BackgroundJobs& jobs) : jobs_(jobs) { ++jobs_.running_; }
        ~Running() { jobs_.ended(); }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;

    private:
        BackgroundJobs& jobs_;
    };

    /// Jobs end at their next step from now on. @param done called once, perhaps before this returns, when none is
    /// left; the unit may be destroyed then. @pre not called before.
    void stop(std::function<void()> done) {
        stopping_ = true;
        if (running_ == 0) return done();
        stopped_ = std::move(done);
    }
    [[nodiscard]] bool stopping() const { return stopping_; }

private:
    void ended() {
        if (--running_ > 0 || !stopped_) return;
        const auto stopped = std::exchange(stopped_, nullptr);
        stopped();
    }

    std::size_t running_ = 0;
    bool stopping_ = false;
    std::function<void()> stopped_;
};

} // namespace touka::scsi
