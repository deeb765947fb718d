// How tasks end before their time, and what becomes of those that do not end. (SAM-6 §5.6, §7)
#include <algorithm>
#include <set>
#include <utility>

#include "scsi/device_server/device_server.hpp"

namespace touka::scsi {

namespace {

/// What the initiator gets of an aborted task: nothing, or that another one aborted it. (SPC-5 §7.5.10, TAS)
void set_aborted(Task& task) {
    task.aborted = !task.link.abort_told;
    if (task.aborted) return;
    task.status = Status::kTaskAborted;
    task.sense.clear();
    task.data_in_bytes = 0;
}

void tell(const std::vector<Abortions::Done>& waiters, bool all_ended) {
    for (const auto& done : waiters) done(all_ended);
}

} // namespace

/// Takes the task out and completes it; whoever waits for the end of aborted tasks learns of it.
void DeviceServer::release(Task& task) {
    if (task.link.late) late_.remove(task, changes_medium(task));
    if (task.link.given_up) return task.complete();
    tasks_.remove(task);
    std::vector<Abortions::Done> finished;
    if (task.link.abort_requested) {
        ++counters_.aborted_tasks;
        set_aborted(task);
        finished = abortions_.remove(task); // before `complete`: afterwards another task may be where this one was
    }
    task.complete();
    tell(finished, true);
}

/// Tasks in flight end when the volume is through with them; those that wait end now, and none of them may start
/// when a port submits another one from within a completion.
template <class Ends>
void DeviceServer::abort(Ends ends, const Nexus* by, Abortions::WhenLate when_late, Abortions::Done done) {
    std::vector<Task*> left;
    tasks_.for_each([&](Task& task) {
        if (!ends(task)) return;
        if (!task.link.abort_requested)
            task.link.abort_told = task_aborted_status_ && by != nullptr && task.nexus != by;
        task.link.abort_requested = true;
        left.push_back(&task);
    });
    if (left.empty()) return done(true);
    abortions_.add(std::move(left), when_late, std::move(done));
    const bool was_starting = std::exchange(starting_, true);
    while (Task* const waiting = tasks_.next_aborted_waiting()) release(*waiting);
    if (withdraw_) withdraw_();
    starting_ = was_starting;
    start_what_may();
}

void DeviceServer::limit_aborts(runtime::Timers& timers, std::uint64_t limit_ns) {
    abortions_.limit(timers, limit_ns, [this] { give_up_late_tasks(); });
}

/// Nobody is told before all of it is done: it may end tasks that are among the late ones.
void DeviceServer::give_up_late_tasks() {
    std::vector<Abortions::Done> finished;
    for (Task* const task : abortions_.late()) {
        if (!std::exchange(task->link.late, true)) late_.add(*task, changes_medium(*task));
        std::ranges::move(give_up(*task), std::back_inserter(finished));
    }
    const auto failed = abortions_.expire();
    tell(finished, true);
    tell(failed, false);
    start_what_may();
}

std::vector<Abortions::Done> DeviceServer::give_up(Task& task) {
    set_aborted(task);
    if (!task.give_up()) return {};
    task.link.given_up = true;
    ++counters_.aborted_tasks;
    ++counters_.given_up_tasks;
    tasks_.remove(task);
    return abortions_.remove(task);
}

bool DeviceServer::changes_medium(const Task& task) const {
    const Command* const command = commands_.find(task.cdb.operation_code(), task.cdb.service_action());
    return command != nullptr && command->reservation(task.cdb) == ReservationClass::kChanges;
}

void DeviceServer::manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                          std::function<void(TaskManagementResponse)> done) {
    using enum TaskManagementFunction;
    constexpr auto kTell = Abortions::WhenLate::kTell;
    const auto complete = [done](bool all_ended) {
        done(all_ended ? TaskManagementResponse::kComplete : TaskManagementResponse::kTargetFailure);
    };
    const auto of_nexus = [&](const Task& task) { return task.nexus == &nexus; };
    const auto present = [&](bool any_tag) {
        bool found = false;
        tasks_.for_each([&](const Task& task) { found |= of_nexus(task) && (any_tag || task.tag == tag); });
        return found;
    };
    switch (function) {
        case kAbortTask:
            if (!present(false)) return done(TaskManagementResponse::kTaskDoesNotExist);
            return abort([&](const Task& task) { return of_nexus(task) && task.tag == tag; }, &nexus, kTell, complete);
        case kAbortTaskSet: return abort(of_nexus, &nexus, kTell, complete);
        case kClearTaskSet: {
            std::vector<NexusName> others;
            tasks_.for_each([&](const Task& task) {
                if (task.nexus != &nexus) others.push_back(task.nexus->name);
            });
            for (const NexusName& other : others) { // unless TASK ABORTED says it (SPC-5 §7.5.10, TAS)
                if (task_aborted_status_) break;
                attentions_.establish(other, SenseCode::kCommandsClearedByAnotherInitiator);
            }
            return abort([](const Task&) { return true; }, &nexus, kTell, complete);
        }
        case kLogicalUnitReset:
        case kTargetReset: return reset(SenseCode::kBusDeviceResetFunctionOccurred, &nexus, kTell, complete);
        case kItNexusReset: {
            const NexusName name = nexus.name;
            for (UnitEvents* observer : observers_) observer->nexus_lost(name);
            attentions_.attach(name, SenseCode::kNexusLossOccurred);
            return abort(of_nexus, &nexus, kTell, complete);
        }
        case kQueryTask:
        case kQueryTaskSet:
            return done(present(function == kQueryTaskSet) ? TaskManagementResponse::kSucceeded
                                                           : TaskManagementResponse::kComplete);
        case kQueryAsynchronousEvent:
            return done(attentions_.pending(nexus.name) ? TaskManagementResponse::kSucceeded
                                                        : TaskManagementResponse::kComplete);
        case kClearAca: break;
    }
    done(TaskManagementResponse::kRejected);
}

void DeviceServer::reset(SenseCode unit_attention, std::function<void()> done) {
    reset(unit_attention, nullptr, Abortions::WhenLate::kKeepWaiting, [done = std::move(done)](bool) { done(); });
}

void DeviceServer::reset(SenseCode unit_attention, const Nexus* by, Abortions::WhenLate when_late,
                         Abortions::Done done) {
    attentions_.replace_all(unit_attention);
    for (UnitEvents* observer : observers_) observer->logical_unit_reset();
    abort([](const Task&) { return true; }, by, when_late, std::move(done));
}

void DeviceServer::abort_tasks_of(std::span<const NexusName> nexuses, const Task* spared, std::function<void()> done) {
    for (const NexusName& nexus : nexuses) {
        for (UnitEvents* observer : observers_) observer->nexus_preempted(nexus);
    }
    const std::set<NexusName> preempted(nexuses.begin(), nexuses.end());
    abort([&](const Task& task) { return &task != spared && preempted.contains(task.nexus->name); },
          spared != nullptr ? spared->nexus : nullptr, Abortions::WhenLate::kTell,
          [done = std::move(done)](bool) { done(); });
}

void DeviceServer::attach(Nexus& nexus) { attentions_.attach(nexus.name, SenseCode::kPowerOnResetOrBusDeviceReset); }

/// As long as a task of the nexus is in flight that cannot be given up there is a nexus.
void DeviceServer::detach(Nexus& nexus, std::function<void()> done) {
    for (UnitEvents* observer : observers_) observer->nexus_lost(nexus.name);
    attentions_.detach(nexus.name);
    abort([&](const Task& task) { return task.nexus == &nexus; }, &nexus, Abortions::WhenLate::kKeepWaiting,
          [done = std::move(done)](bool) { done(); });
}

} // namespace touka::scsi
