#include "devices/nvme/command_set.hpp"

#include <array>
#include <utility>

#include "spec/nvme/command.hpp"
#include "spec/nvme/log_page.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using storage::BlockStatus;

namespace {

constexpr Command admin(AdminOpcode opcode, Outcome (*execute)(Controller&, Request&), std::uint32_t effects = 0) {
    return {std::to_underlying(opcode), execute, effects};
}
constexpr Command primary(AdminOpcode opcode, Outcome (*execute)(Controller&, Request&), std::uint32_t effects = 0) {
    return {std::to_underlying(opcode), execute, effects, true};
}
constexpr Command io(IoOpcode opcode, Outcome (*execute)(Controller&, Request&), std::uint32_t effects = 0) {
    return {std::to_underlying(opcode), execute, effects};
}

constexpr std::array kAdminCommands{
    admin(AdminOpcode::kDeleteSubmissionQueue, delete_submission_queue),
    admin(AdminOpcode::kCreateSubmissionQueue, create_submission_queue),
    admin(AdminOpcode::kGetLogPage, get_log_page),
    admin(AdminOpcode::kDeleteCompletionQueue, delete_completion_queue),
    admin(AdminOpcode::kCreateCompletionQueue, create_completion_queue),
    admin(AdminOpcode::kIdentify, identify),
    admin(AdminOpcode::kAbort, abort_command),
    admin(AdminOpcode::kSetFeatures, set_features),
    admin(AdminOpcode::kGetFeatures, get_features),
    admin(AdminOpcode::kAsyncEventRequest, async_event_request),
    primary(AdminOpcode::kNamespaceManagement, namespace_management, kEffectInventoryChange),
    primary(AdminOpcode::kNamespaceAttachment, namespace_attachment, kEffectInventoryChange),
    primary(AdminOpcode::kVirtualizationManagement, virtualization_management),
    admin(AdminOpcode::kDoorbellBufferConfig, doorbell_buffer_config),
    admin(AdminOpcode::kFormatNvm, format_nvm,
          kEffectContentChange | kEffectNamespaceChange | kEffectExclusiveForNamespace),
};
constexpr std::array kIoCommands{
    io(IoOpcode::kRead, read),
    io(IoOpcode::kWrite, write, kEffectContentChange),
    io(IoOpcode::kFlush, flush),
    io(IoOpcode::kWriteZeroes, write_zeroes, kEffectContentChange),
    io(IoOpcode::kDatasetManagement, dataset_management, kEffectContentChange),
    io(IoOpcode::kCompare, compare),
    io(IoOpcode::kVerify, verify),
    io(IoOpcode::kCopy, copy, kEffectContentChange),
    io(IoOpcode::kReservationRegister, reservation_register),
    io(IoOpcode::kReservationReport, reservation_report),
    io(IoOpcode::kReservationAcquire, reservation_acquire),
    io(IoOpcode::kReservationRelease, reservation_release),
};

Status block_status(BlockStatus status, Status io_error) {
    switch (status) {
        case BlockStatus::kOk: return Status::kSuccess;
        case BlockStatus::kIoError: return io_error;
        case BlockStatus::kNoSpace: return Status::kCapacityExceeded;
        case BlockStatus::kOutOfRange: return Status::kLbaOutOfRange;
        case BlockStatus::kReadOnly: return Status::kNamespaceWriteProtected;
        case BlockStatus::kUnsupported: return Status::kInvalidField;
    }
    return Status::kInternalError;
}

} // namespace

std::span<const Command> admin_commands() { return kAdminCommands; }
std::span<const Command> io_commands() { return kIoCommands; }

Status read_status(BlockStatus status) { return block_status(status, Status::kUnrecoveredReadError); }
Status write_status(BlockStatus status) { return block_status(status, Status::kWriteFault); }

bool will_fail_again(Status status) {
    switch (status) {
        case Status::kSuccess:
        case Status::kDataTransferError:
        case Status::kInternalError:
        case Status::kAbortRequested:
        case Status::kAbortedSqDeletion:
        case Status::kAbortedFailedFused:
        case Status::kAbortedPreempt:
        case Status::kNamespaceNotReady:
        case Status::kFormatInProgress:
        case Status::kCapacityExceeded:
        case Status::kWriteFault:
        case Status::kUnrecoveredReadError: return false;
        default: return true;
    }
}

} // namespace touka::devices::nvme
