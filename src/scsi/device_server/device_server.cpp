#include "scsi/device_server/device_server.hpp"

#include <algorithm>
#include <cassert>
#include <set>
#include <utility>

#include "spec/scsi/operation.hpp"

namespace touka::scsi {

void DeviceServer::submit(Task& task) {
    ++counters_.commands;
    tasks_.add(task);
    start_what_may();
}

/// Starts in a loop, not in recursion: commands that complete at once let the next ones start.
void DeviceServer::start_what_may() {
    if (starting_) return;
    starting_ = true;
    while (Task* const task = tasks_.next_startable()) start(*task);
    starting_ = false;
}

/// The checks in their order of precedence. (SAM-6 §5.3.3 "Status precedence")
void DeviceServer::start(Task& task) {
    const Command* const command = commands_.find(task.cdb.operation_code(), task.cdb.service_action());
    if (command == nullptr || !command->despite_unit_attention) {
        if (const auto code = attentions_.take(task.nexus->name)) return check(task, Sense::unit_attention(*code));
    }
    if (command == nullptr) {
        if (!commands_.has(task.cdb.operation_code())) {
            return check(task, Sense::illegal_request(SenseCode::kInvalidCommandOperationCode));
        }
        const bool variable_length = task.cdb.operation_code() == spec::scsi::operation::kVariableLength;
        return check(task, variable_length ? Sense::invalid_field_in_cdb(8, std::uint8_t{7}) // the service action
                                           : Sense::invalid_field_in_cdb(1, std::uint8_t{4}));
    }
    if (const auto sense = check_gates(task)) return check(task, *sense);
    if (conflicts(task.nexus->name, command->reservation(task.cdb))) {
        return finish(task, Status::kReservationConflict);
    }
    if (const auto sense = CommandSet::check(*command, task.cdb)) return check(task, *sense);
    if (!command->despite_not_ready) {
        if (const auto sense = readiness()) return check(task, *sense);
    }
    command->execute(task);
}

std::optional<Sense> DeviceServer::check_gates(const Task& task) const {
    for (const auto& gate : gates_) {
        if (auto sense = gate(task)) return sense;
    }
    return std::nullopt;
}

bool DeviceServer::conflicts(const NexusName& nexus, ReservationClass command) const {
    return std::ranges::any_of(reservations_,
                               [&](const ReservationPolicy* policy) { return policy->conflicts(nexus, command); });
}

void DeviceServer::check(Task& task, const SenseData& sense) {
    ++counters_.check_conditions;
    task.sense = sense;
    finish(task, Status::kCheckCondition);
}

void DeviceServer::finish(Task& task, Status status) {
    task.status = status;
    if (status == Status::kReservationConflict) ++counters_.reservation_conflicts;
    counters_.data_in_bytes += task.data_in_bytes;
    if (status == Status::kGood && task.data_in_bytes == 0) {
        counters_.data_out_bytes += std::min(task.data_out_bytes, task.transfer_bytes);
    }
    release(task);
    start_what_may();
}

void DeviceServer::reply(Task& task, std::span<const std::uint8_t> data, std::uint64_t allocation_length) {
    finish(task, put_parameter_data(task, data, allocation_length));
}

std::vector<std::uint8_t> DeviceServer::parameters(Task& task, std::size_t length) {
    task.transfer_bytes = length;
    std::vector<std::uint8_t> list(std::min<std::uint64_t>(length, task.data_out_bytes));
    list.resize(copy_from(task.data_out, 0, list));
    return list;
}

/// Takes the task out and completes it; whoever waits for the end of aborted tasks learns of it.
void DeviceServer::release(Task& task) {
    tasks_.remove(task);
    std::vector<std::function<void()>> finished;
    if (task.link.abort_requested) {
        ++counters_.aborted_tasks;
        task.aborted = !task.link.abort_told;
        if (task.link.abort_told) {
            task.status = Status::kTaskAborted;
            task.sense.clear();
            task.data_in_bytes = 0;
        }
        // Before `complete`: afterwards another task may be where this one was.
        for (auto& abortion : abortions_) {
            std::erase(abortion->left, &task);
            if (abortion->left.empty()) finished.push_back(std::move(abortion->done));
        }
        std::erase_if(abortions_, [](const auto& abortion) { return abortion->left.empty(); });
    }
    task.complete();
    for (const auto& done : finished) done();
}

/// Tasks in flight end when the volume is through with them; those that wait end now, and none of them may start
/// when a port submits another one from within a completion.
template <class Ends>
void DeviceServer::abort(Ends ends, const Nexus* by, std::function<void()> done) {
    auto abortion = std::make_unique<Abortion>();
    tasks_.for_each([&](Task& task) {
        if (!ends(task)) return;
        if (!task.link.abort_requested)
            task.link.abort_told = task_aborted_status_ && by != nullptr && task.nexus != by;
        task.link.abort_requested = true;
        abortion->left.push_back(&task);
    });
    if (abortion->left.empty()) return done();
    abortion->done = std::move(done);
    abortions_.push_back(std::move(abortion));
    const bool was_starting = std::exchange(starting_, true);
    while (Task* const waiting = tasks_.next_aborted_waiting()) release(*waiting);
    starting_ = was_starting;
    start_what_may();
}

void DeviceServer::manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                          std::function<void(TaskManagementResponse)> done) {
    using enum TaskManagementFunction;
    const auto complete = [done] { done(TaskManagementResponse::kComplete); };
    const auto present = [&](bool any_tag) {
        bool found = false;
        tasks_.for_each([&](const Task& task) { found |= task.nexus == &nexus && (any_tag || task.tag == tag); });
        return found;
    };
    switch (function) {
        case kAbortTask:
            if (!present(false)) return done(TaskManagementResponse::kTaskDoesNotExist);
            return abort([&](const Task& task) { return task.nexus == &nexus && task.tag == tag; }, &nexus, complete);
        case kAbortTaskSet: return abort([&](const Task& task) { return task.nexus == &nexus; }, &nexus, complete);
        case kClearTaskSet: {
            std::vector<NexusName> others;
            tasks_.for_each([&](const Task& task) {
                if (task.nexus != &nexus) others.push_back(task.nexus->name);
            });
            for (const NexusName& other : others) { // unless TASK ABORTED says it (SPC-5 §7.5.10, TAS)
                if (task_aborted_status_) break;
                attentions_.establish(other, SenseCode::kCommandsClearedByAnotherInitiator);
            }
            return abort([](const Task&) { return true; }, &nexus, complete);
        }
        case kLogicalUnitReset:
        case kTargetReset: return reset(SenseCode::kBusDeviceResetFunctionOccurred, &nexus, complete);
        case kItNexusReset: {
            const NexusName name = nexus.name;
            for (UnitEvents* observer : observers_) observer->nexus_lost(name);
            attentions_.attach(name, SenseCode::kNexusLossOccurred);
            return abort([&](const Task& task) { return task.nexus == &nexus; }, &nexus, complete);
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

void DeviceServer::reset(SenseCode unit_attention, const Nexus* by, std::function<void()> done) {
    attentions_.replace_all(unit_attention);
    for (UnitEvents* observer : observers_) observer->logical_unit_reset();
    abort([](const Task&) { return true; }, by, std::move(done));
}

void DeviceServer::abort_tasks_of(std::span<const NexusName> nexuses, const Task* spared, std::function<void()> done) {
    for (const NexusName& nexus : nexuses) {
        for (UnitEvents* observer : observers_) observer->nexus_preempted(nexus);
    }
    const std::set<NexusName> preempted(nexuses.begin(), nexuses.end());
    abort([&](const Task& task) { return &task != spared && preempted.contains(task.nexus->name); },
          spared != nullptr ? spared->nexus : nullptr, std::move(done));
}

void DeviceServer::attach(Nexus& nexus) { attentions_.attach(nexus.name, SenseCode::kPowerOnResetOrBusDeviceReset); }

void DeviceServer::detach(Nexus& nexus, std::function<void()> done) {
    for (UnitEvents* observer : observers_) observer->nexus_lost(nexus.name);
    attentions_.detach(nexus.name);
    abort([&](const Task& task) { return task.nexus == &nexus; }, &nexus, std::move(done));
}

} // namespace touka::scsi
