// Task management functions. (RFC 7143 §11.5, §11.6; RFC 7144 §6)
#include <optional>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

std::optional<TaskManagementFunction> function_of(TaskFunction function) {
    switch (function) {
        case TaskFunction::kAbortTask: return TaskManagementFunction::kAbortTask;
        case TaskFunction::kAbortTaskSet: return TaskManagementFunction::kAbortTaskSet;
        case TaskFunction::kClearAca: return TaskManagementFunction::kClearAca;
        case TaskFunction::kClearTaskSet: return TaskManagementFunction::kClearTaskSet;
        case TaskFunction::kLogicalUnitReset: return TaskManagementFunction::kLogicalUnitReset;
        case TaskFunction::kTargetWarmReset:
        case TaskFunction::kTargetColdReset: return TaskManagementFunction::kTargetReset;
        case TaskFunction::kQueryTask: return TaskManagementFunction::kQueryTask;
        case TaskFunction::kQueryTaskSet: return TaskManagementFunction::kQueryTaskSet;
        case TaskFunction::kItNexusReset: return TaskManagementFunction::kItNexusReset;
        case TaskFunction::kQueryAsynchronousEvent: return TaskManagementFunction::kQueryAsynchronousEvent;
        case TaskFunction::kTaskReassign: break;
    }
    return std::nullopt;
}

TaskResponse response_of(TaskManagementResponse response) {
    switch (response) {
        case TaskManagementResponse::kComplete: return TaskResponse::kComplete;
        case TaskManagementResponse::kSucceeded: return TaskResponse::kSucceeded;
        case TaskManagementResponse::kRejected: return TaskResponse::kNotSupported;
        case TaskManagementResponse::kIncorrectLun: return TaskResponse::kLunDoesNotExist;
        case TaskManagementResponse::kTaskDoesNotExist: return TaskResponse::kTaskDoesNotExist;
        case TaskManagementResponse::kTargetFailure: break; // iSCSI has no other word for it
    }
    return TaskResponse::kRejected;
}

/// Which of this nexus's tasks a function ends.
bool ends(TaskManagementFunction function, Lun lun, std::uint64_t tag, const IscsiTask& task) {
    switch (function) {
        case TaskManagementFunction::kAbortTask: return task.lun == lun && task.tag == tag;
        case TaskManagementFunction::kAbortTaskSet:
        case TaskManagementFunction::kClearTaskSet:
        case TaskManagementFunction::kLogicalUnitReset: return task.lun == lun;
        case TaskManagementFunction::kTargetReset:
        case TaskManagementFunction::kItNexusReset: return true;
        default: return false;
    }
}

} // namespace

void Connection::end_task_management(const BasicHeader& header) {
    if (nexus_ == nullptr) return reject(header, RejectReason::kCommandNotSupported);
    const auto requested = TaskFunction(header.flags() & 0x7F);
    if (requested == TaskFunction::kTaskReassign) {
        return answer_task_management(header.task_tag(), TaskResponse::kReassignmentNotSupported);
    }
    const auto function = function_of(requested);
    if (!function) return answer_task_management(header.task_tag(), TaskResponse::kNotSupported);
    const Lun lun{header.get(kLun)};
    const std::uint32_t tag = header.get32(kReferencedTaskTag);
    if (abandon_collecting(*function, lun, tag) && *function == TaskManagementFunction::kAbortTask) {
        return answer_task_management(header.task_tag(), TaskResponse::kComplete);
    }
    commit(); // what this function is about is with its unit
    NetworkEntity* const entity = &entity_;
    const auto done = [entity, id = id_, tag = header.task_tag(), requested](TaskManagementResponse response) {
        Connection* const connection = entity->find(id);
        if (connection == nullptr || connection->state_ != State::kFullFeature) return;
        connection->answer_task_management(tag, response_of(response));
        if (requested != TaskFunction::kTargetColdReset) return;
        connection->end_after_output();
        entity->reset_target(*connection->node_->target, connection);
    };
    node_->target->manage(*function, *nexus_, lun, tag, done);
}

/// Ends tasks that no unit knows of yet. @return whether there were any.
bool Connection::abandon_collecting(TaskManagementFunction function, Lun lun, std::uint32_t tag) {
    bool any = false;
    tasks_.for_each([&](IscsiTask& task) {
        if (task.with_unit || !ends(function, lun, tag, task)) return;
        any = true;
        tasks_.remove(task);
        leave(task);
        release(task);
    });
    return any;
}

void Connection::answer_task_management(std::uint32_t tag, TaskResponse response) {
    BasicHeader header(Opcode::kTaskManagementResponse);
    header.bytes[2] = static_cast<std::uint8_t>(response);
    header.set(kInitiatorTaskTag, tag);
    // Responses that are ready go first: the initiator takes what comes later as not there. (RFC 7143 §4.2.3.3)
    flush_responses_ = true;
    fill_output();
    flush_responses_ = false;
    reply(header);
}

} // namespace touka::scsi::iscsi
