// Task management of an SgUnit: with a unit reset as all that the kernel offers, and waiting.
#include <algorithm>
#include <limits>
#include <utility>

#include "scsi/passthrough/sg_command.hpp"

namespace touka::scsi {

void SgUnit::manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                    std::function<void(TaskManagementResponse)> done) {
    using enum TaskManagementFunction;
    const Picks of_nexus = [&nexus](const Task& task) { return task.nexus == &nexus; };
    const Picks of_tag = [&nexus, tag](const Task& task) { return task.nexus == &nexus && task.tag == tag; };
    const Picks all = [](const Task&) { return true; };
    const auto present = [this](const Picks& picks) {
        const auto picked = [&](const Command* command) { return picks(*command->task); };
        return std::ranges::any_of(started_, picked) || std::ranges::any_of(waiting_, picked);
    };
    switch (function) {
        case kAbortTask:
            if (!present(of_tag)) return done(TaskManagementResponse::kTaskDoesNotExist);
            return wait_for(of_tag, Wait::WhenLate::kReject, std::move(done));
        case kAbortTaskSet: return wait_for(of_nexus, Wait::WhenLate::kReject, std::move(done));
        case kClearTaskSet: return wait_for(all, Wait::WhenLate::kReject, std::move(done));
        case kItNexusReset: return wait_for(of_nexus, Wait::WhenLate::kReset, std::move(done));
        case kLogicalUnitReset:
        case kTargetReset: return reset(std::move(done));
        case kQueryTask:
        case kQueryTaskSet:
            return done(present(function == kQueryTask ? of_tag : of_nexus) ? TaskManagementResponse::kSucceeded
                                                                            : TaskManagementResponse::kComplete);
        case kClearAca:
        case kQueryAsynchronousEvent: break;
    }
    done(TaskManagementResponse::kRejected);
}

void SgUnit::detach(Nexus& nexus, std::function<void()> done) {
    wait_for([&nexus](const Task& task) { return task.nexus == &nexus; }, Wait::WhenLate::kResetAndWait,
             [done = std::move(done)](TaskManagementResponse) { done(); });
}

void SgUnit::abort_waiting(const Picks& picks) {
    std::vector<Command*> aborted;
    std::erase_if(waiting_, [&](Command* command) {
        if (!picks(*command->task)) return false;
        aborted.push_back(command);
        return true;
    });
    for (Command* command : aborted) {
        Task& task = *command->task;
        release(*command);
        task.aborted = true;
        task.complete();
    }
}

void SgUnit::wait_for(const Picks& picks, Wait::WhenLate when_late, std::function<void(TaskManagementResponse)> done) {
    abort_waiting(picks);
    Wait wait{.when_late = when_late, .done = std::move(done)};
    std::ranges::copy_if(started_, std::back_inserter(wait.left),
                         [&](const Command* command) { return picks(*command->task); });
    wait.deadline_ns = reactor_.now_ns() + configuration_.abort_patience_ms * std::uint64_t{1'000'000};
    waits_.push_back(std::move(wait));
    finish_waits();
    arm_timer();
}

void SgUnit::reset(std::function<void(TaskManagementResponse)> done) {
    abort_waiting([](const Task&) { return true; });
    waits_.push_back({.left = started_, .done = std::move(done)});
    reset_for(waits_.back());
    arm_timer();
}

/// The kernel ends the unit's commands before the call returns, or as soon as it can.
void SgUnit::reset_for(Wait& wait) {
    wait.resetting = wait.reset = true;
    wait.deadline_ns.reset();
    if (wait.when_late == Wait::WhenLate::kResetAndWait) {
        wait.when_late = Wait::WhenLate::kKeepWaiting;
    } else {
        wait.when_late = Wait::WhenLate::kReject;
        wait.deadline_ns = reactor_.now_ns() + configuration_.abort_patience_ms * std::uint64_t{1'000'000};
    }
    resets_.start([device = device_.get()] { return device->reset_unit(); },
                  [this, &wait](int error) {
                      wait.resetting = false;
                      if (!wait.done) return (void)std::erase_if(waits_, [&](const Wait& w) { return &w == &wait; });
                      if (error != 0 && wait.when_late == Wait::WhenLate::kReject) wait.deadline_ns = reactor_.now_ns();
                      if (error != 0 && wait.left.empty()) {
                          const auto done = std::move(wait.done);
                          std::erase_if(waits_, [&](const Wait& w) { return &w == &wait; });
                          return done(TaskManagementResponse::kRejected);
                      }
                      finish_waits();
                      arm_timer();
                  });
}

void SgUnit::forget(const Command& command) {
    for (Wait& wait : waits_) std::erase(wait.left, &command);
}

void SgUnit::finish_waits() {
    for (auto wait = waits_.begin(); wait != waits_.end();) {
        if (wait->resetting || !wait->left.empty()) {
            ++wait;
            continue;
        }
        const auto done = std::move(wait->done);
        waits_.erase(wait);
        done(TaskManagementResponse::kComplete);
        wait = waits_.begin(); // the callback may have changed the list
    }
}

void SgUnit::on_timer() {
    const std::uint64_t now = reactor_.now_ns();
    for (auto wait = waits_.begin(); wait != waits_.end();) {
        const auto late = wait++;
        if (!late->deadline_ns || *late->deadline_ns > now) continue;
        if (late->when_late == Wait::WhenLate::kReset || late->when_late == Wait::WhenLate::kResetAndWait) {
            reset_for(*late);
            continue;
        }
        const auto done = std::exchange(late->done, nullptr);
        const bool reset = late->reset;
        late->deadline_ns.reset();
        if (!late->resetting) waits_.erase(late);
        done(reset ? TaskManagementResponse::kTargetFailure : TaskManagementResponse::kRejected);
        wait = waits_.begin();
    }
    arm_timer();
}

void SgUnit::arm_timer() {
    std::uint64_t next = std::numeric_limits<std::uint64_t>::max();
    for (const Wait& wait : waits_) next = std::min(next, wait.deadline_ns.value_or(next));
    if (next != std::numeric_limits<std::uint64_t>::max()) timer_->arm(next);
}

} // namespace touka::scsi
