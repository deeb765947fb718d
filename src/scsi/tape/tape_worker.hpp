#pragma once

#include <functional>
#include <memory>

#include "runtime/reactor.hpp"

namespace touka::scsi {

/// Where the work of one drive on its tape is done, one piece after the other.
class TapeWorker {
public:
    virtual ~TapeWorker() = default;
    /// Does `work`, then calls `done` on the unit's reactor; both in the order of the calls of `run`.
    virtual void run(std::function<void()> work, std::function<void()> done) = 0;
};

/// A thread of its own, since files are waited for.
class TapeThread final : public TapeWorker {
public:
    /// @param unit_reactor where the drive's unit lives; outlives this.  @param name shown by ps, 15 characters at most
    TapeThread(runtime::Reactor& unit_reactor, std::string name)
        : unit_reactor_(unit_reactor), thread_(std::move(name)) {}

    void run(std::function<void()> work, std::function<void()> done) override {
        thread_.post([this, work = std::move(work), done = std::move(done)] {
            work();
            unit_reactor_.post(done);
        });
    }

private:
    runtime::Reactor& unit_reactor_;
    runtime::Reactor thread_; // an event loop is a queue of work as well
};

} // namespace touka::scsi
