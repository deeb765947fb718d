// Commands that make and end queues, and those about other commands. (NVM Express Base 2.0 §5.1, §5.2, §5.4 to §5.7,
// §5.11)
#include <utility>

#include "devices/nvme/command_set.hpp"
#include "devices/nvme/controller.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;

namespace {

struct QueueCommand {
    std::uint16_t id, size_less_one;
    std::uint32_t flags;
};

QueueCommand parse(const SubmissionEntry& command) {
    return {static_cast<std::uint16_t>(command.cdw10), static_cast<std::uint16_t>(command.cdw10 >> 16),
            command.cdw11 & 0xFFFF};
}

/// What both kinds of queue have in common.
Status check(Controller& controller, const Request& request, const QueueCommand& queue) {
    if (request.command.flags >> kPsdtShift != kPsdtPrp) return Status::kInvalidField;
    if (queue.size_less_one == 0 || queue.size_less_one >= Controller::kQueueEntries) return Status::kInvalidQueueSize;
    if ((queue.flags & kQueueContiguous) == 0) return Status::kInvalidField; // CAP.CQR
    if (request.command.prp1 % controller.page_bytes() != 0) return Status::kPrpOffsetInvalid;
    return Status::kSuccess;
}

bool valid_id(Controller& controller, std::uint16_t id) { return id != 0 && id < controller.queue_limit(); }

} // namespace

Outcome create_completion_queue(Controller& controller, Request& request) {
    const QueueCommand queue = parse(request.command);
    if (!valid_id(controller, queue.id) || controller.completion_queue(queue.id) != nullptr) {
        return Status::kInvalidQueueId;
    }
    if (controller.entry_shifts().completion != kCompletionEntryShift) return Status::kInvalidQueueSize;
    if (const Status status = check(controller, request, queue); status != Status::kSuccess) return status;
    const auto vector = static_cast<std::uint16_t>(request.command.cdw11 >> 16);
    if (vector >= controller.vector_limit()) return Status::kInvalidInterruptVector;
    controller.add_queue(CompletionQueue::Setup{.id = queue.id,
                                                .base = request.command.prp1,
                                                .size = queue.size_less_one + 1u,
                                                .vector = vector,
                                                .interrupts = (queue.flags & kQueueInterruptsEnabled) != 0});
    return Status::kSuccess;
}

Outcome create_submission_queue(Controller& controller, Request& request) {
    const QueueCommand queue = parse(request.command);
    if (!valid_id(controller, queue.id) || controller.submission_queue(queue.id) != nullptr) {
        return Status::kInvalidQueueId;
    }
    if (controller.entry_shifts().submission != kSubmissionEntryShift) return Status::kInvalidQueueSize;
    const auto completions = static_cast<std::uint16_t>(request.command.cdw11 >> 16);
    if (completions == 0 || completions >= controller.queue_limit()) return Status::kInvalidQueueId;
    CompletionQueue* const target = controller.completion_queue(completions);
    if (target == nullptr) return Status::kCompletionQueueInvalid;
    if (const Status status = check(controller, request, queue); status != Status::kSuccess) return status;
    controller.add_queue(SubmissionQueue::Setup{.id = queue.id,
                                                .base = request.command.prp1,
                                                .size = queue.size_less_one + 1u,
                                                .priority = static_cast<std::uint8_t>(queue.flags >> 1 & 0x3)},
                         *target);
    return Status::kSuccess;
}

Outcome delete_completion_queue(Controller& controller, Request& request) {
    const QueueCommand queue = parse(request.command);
    const CompletionQueue* const target = controller.completion_queue(queue.id);
    if (queue.id == 0 || target == nullptr) return Status::kInvalidQueueId;
    if (target->submission_queues != 0) return Status::kInvalidQueueDeletion;
    controller.remove_completion_queue(queue.id);
    return Status::kSuccess;
}

Outcome delete_submission_queue(Controller& controller, Request& request) {
    const QueueCommand queue = parse(request.command);
    SubmissionQueue* const target = controller.submission_queue(queue.id);
    if (queue.id == 0 || target == nullptr || target->deletion != nullptr) return Status::kInvalidQueueId;
    return controller.remove_submission_queue(*target, request);
}

/// Dword 0 bit 0 says that the command was not aborted: it may still end by itself. (§5.1)
Outcome abort_command(Controller& controller, Request& request) {
    SubmissionQueue* const queue = controller.submission_queue(request.command.cdw10 & 0xFFFF);
    if (queue == nullptr) return Status::kInvalidField;
    const auto cid = static_cast<std::uint16_t>(request.command.cdw10 >> 16);
    request.dw0 = controller.abort(*queue, cid) ? 0 : 1;
    return Status::kSuccess;
}

Outcome async_event_request(Controller& controller, Request& request) {
    if (!controller.park_event_request(request)) return Status::kAsyncEventLimitExceeded;
    controller.tell_events();
    return std::nullopt;
}

Outcome doorbell_buffer_config(Controller& controller, Request& request) {
    const SubmissionEntry& command = request.command;
    const std::uint32_t page = controller.page_bytes();
    if (command.prp1 == 0 || command.prp2 == 0 || command.prp1 % page != 0 || command.prp2 % page != 0) {
        return Status::kInvalidField;
    }
    controller.use_shadow_doorbells(command.prp1, command.prp2);
    return Status::kSuccess;
}

} // namespace touka::devices::nvme
