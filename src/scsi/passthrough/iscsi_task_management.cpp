// Task management of an IscsiUnit: asked of the array, and carried out on libiscsi's side when the array agrees.
// (RFC 7143 §11.5, §11.6)
#include <iscsi/iscsi.h>

#include <algorithm>
#include <utility>

#include "scsi/passthrough/iscsi_command.hpp"

namespace touka::scsi {

namespace {

/// What iSCSI has for a function about this unit; 0 where it has nothing.
int code_of(TaskManagementFunction function) {
    switch (function) {
        case TaskManagementFunction::kAbortTask: return ISCSI_TM_ABORT_TASK;
        case TaskManagementFunction::kAbortTaskSet: return ISCSI_TM_ABORT_TASK_SET;
        case TaskManagementFunction::kClearAca: return ISCSI_TM_CLEAR_ACA;
        case TaskManagementFunction::kClearTaskSet: return ISCSI_TM_CLEAR_TASK_SET;
        // A target reset would reach units of the array that are not this machine's.
        case TaskManagementFunction::kTargetReset:
        case TaskManagementFunction::kLogicalUnitReset: return ISCSI_TM_LUN_RESET;
        case TaskManagementFunction::kItNexusReset:
        case TaskManagementFunction::kQueryTask:
        case TaskManagementFunction::kQueryTaskSet:
        case TaskManagementFunction::kQueryAsynchronousEvent: return 0;
    }
    return 0;
}

TaskManagementResponse response_of(std::uint32_t response) {
    switch (response) {
        case ISCSI_TMR_FUNC_COMPLETE: return TaskManagementResponse::kComplete;
        case ISCSI_TMR_TASK_DOES_NOT_EXIST: return TaskManagementResponse::kTaskDoesNotExist;
        case ISCSI_TMR_LUN_DOES_NOT_EXIST: return TaskManagementResponse::kIncorrectLun;
        default: return TaskManagementResponse::kRejected;
    }
}

bool ends_tasks(TaskManagementFunction function) { return function != TaskManagementFunction::kClearAca; }

} // namespace

bool IscsiUnit::concerns(const Function& function, const Command& command) const {
    switch (function.function) {
        case TaskManagementFunction::kAbortTask:
        case TaskManagementFunction::kQueryTask:
            return command.task->nexus == function.nexus && command.task->tag == function.tag;
        case TaskManagementFunction::kAbortTaskSet:
        case TaskManagementFunction::kQueryTaskSet: return command.task->nexus == function.nexus;
        default: return ends_tasks(function.function);
    }
}

IscsiUnit::Command* IscsiUnit::find_in_flight(const Function& function) {
    const auto found = std::ranges::find_if(in_flight_, [&](const Command* c) { return concerns(function, *c); });
    return found == in_flight_.end() ? nullptr : *found;
}

void IscsiUnit::abort_waiting(const Function& function) {
    std::vector<Command*> ended;
    std::erase_if(waiting_, [&](Command* command) {
        if (!concerns(function, *command)) return false;
        ended.push_back(command);
        return true;
    });
    for (Command* command : ended) {
        Task& task = *command->task;
        release(*command);
        task.aborted = true;
        task.complete();
    }
}

void IscsiUnit::manage(TaskManagementFunction function, Nexus& nexus, std::uint64_t tag,
                       std::function<void(TaskManagementResponse)> done) {
    ++counters_.functions;
    Function request{.unit = *this, .function = function, .nexus = &nexus, .tag = tag, .done = std::move(done)};
    if (function == TaskManagementFunction::kQueryTask || function == TaskManagementFunction::kQueryTaskSet) {
        const bool waits = std::ranges::any_of(waiting_, [&](const Command* c) { return concerns(request, *c); });
        return request.done(waits || find_in_flight(request) != nullptr ? TaskManagementResponse::kSucceeded
                                                                        : TaskManagementResponse::kComplete);
    }
    if (function != TaskManagementFunction::kQueryAsynchronousEvent) abort_waiting(request);
    if (function == TaskManagementFunction::kItNexusReset) return renew_session(request.done);
    const int code = code_of(function);
    if (code == 0) return request.done(TaskManagementResponse::kRejected);
    const bool resets = code == ISCSI_TM_LUN_RESET;
    if (session_.context() == nullptr) { // nothing is in flight, and a unit that is not reached is not reset
        return request.done(resets ? TaskManagementResponse::kRejected : TaskManagementResponse::kComplete);
    }
    const Command* const command = find_in_flight(request);
    const bool one = function == TaskManagementFunction::kAbortTask;
    if (one && command == nullptr) return request.done(TaskManagementResponse::kTaskDoesNotExist);
    request.deadline_ns = reactor_.now_ns() + function_limit_ns_;
    Function& sent = functions_.emplace_back(std::move(request));
    const auto task_management = static_cast<iscsi_task_mgmt_funcs>(code);
    if (iscsi_task_mgmt_async(session_.context(), lun_, task_management, one ? command->native->itt : 0xFFFF'FFFF,
                              one ? command->native->cmdsn : 0, &on_function, &sent) != 0) {
        session_.drop(); // which ends the tasks, and the function with them
        return;
    }
    session_.flush();
    arm_timer();
}

void IscsiUnit::renew_session(const std::function<void(TaskManagementResponse)>& done) {
    for (Command* command : in_flight_) command->aborted = true;
    session_.drop();
    when_nothing_is_in_flight([done] { done(TaskManagementResponse::kComplete); });
}

/// At once, or when the session that is about to go has gone: it cannot go from within its own callbacks.
void IscsiUnit::when_nothing_is_in_flight(std::function<void()> done) {
    if (in_flight_.empty()) return done();
    after_session_.push_back(std::move(done));
}

void IscsiUnit::on_function(iscsi_context*, int status, void* response, void* function) {
    // Under a session that is torn down the function may be gone already, and nobody knows its unit; session_down()
    // ends those that are left.
    if (status != SCSI_STATUS_GOOD || response == nullptr) return;
    auto& ended = *static_cast<Function*>(function);
    ended.unit.finish_function(ended, status, *static_cast<const std::uint32_t*>(response));
}

void IscsiUnit::finish_function(Function& function, int, std::uint32_t response) {
    const auto place = std::ranges::find_if(functions_, [&](const Function& f) { return &f == &function; });
    if (place == functions_.end()) return;
    const TaskManagementResponse answer = response_of(response);
    const bool ended =
        answer == TaskManagementResponse::kComplete || answer == TaskManagementResponse::kTaskDoesNotExist;
    if (ended && ends_tasks(function.function)) end_tasks_of(function);
    if (session_.context() == nullptr) return; // the session goes, its tasks with it, and session_down() answers
    const auto done = std::move(place->done);
    functions_.erase(place);
    done(answer);
}

/// The array sends nothing more for these commands: libiscsi has to forget them.
void IscsiUnit::end_tasks_of(const Function& function) {
    std::vector<Command*> ended;
    for (Command* command : in_flight_) {
        if (concerns(function, *command)) ended.push_back(command);
    }
    for (Command* command : ended) command->aborted = true;
    if (ended.empty()) return;
    // A command that was never sent would leave a hole in the sequence of CmdSN, and data queued for one would follow
    // it (RFC 7143 §4.2.2.1): the session cannot go on then.
    if (!session_.all_sent()) return session_.drop();
    for (Command* command : ended) iscsi_scsi_cancel_task(session_.context(), command->native);
}

} // namespace touka::scsi
