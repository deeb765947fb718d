#include "devices/virtio/scsi_control_queue.hpp"

#include <cstring>
#include <optional>

namespace touka::devices::virtio {

using namespace spec::virtio;
using scsi::TaskManagementFunction;
using scsi::TaskManagementResponse;

namespace {

std::optional<TaskManagementFunction> function_of(std::uint32_t subtype) {
    using enum TaskManagementFunction;
    switch (subtype) {
        case VIRTIO_SCSI_T_TMF_ABORT_TASK: return kAbortTask;
        case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET: return kAbortTaskSet;
        case VIRTIO_SCSI_T_TMF_CLEAR_ACA: return kClearAca;
        case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET: return kClearTaskSet;
        case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET: return kItNexusReset;
        case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET: return kLogicalUnitReset;
        case VIRTIO_SCSI_T_TMF_QUERY_TASK: return kQueryTask;
        case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET: return kQueryTaskSet;
        default: return std::nullopt;
    }
}

std::uint8_t response_of(TaskManagementResponse response) {
    switch (response) {
        case TaskManagementResponse::kComplete:
        case TaskManagementResponse::kTaskDoesNotExist: return VIRTIO_SCSI_S_FUNCTION_COMPLETE;
        case TaskManagementResponse::kSucceeded: return VIRTIO_SCSI_S_FUNCTION_SUCCEEDED;
        case TaskManagementResponse::kRejected: return VIRTIO_SCSI_S_FUNCTION_REJECTED;
        case TaskManagementResponse::kIncorrectLun: return VIRTIO_SCSI_S_INCORRECT_LUN;
        case TaskManagementResponse::kTargetFailure: return VIRTIO_SCSI_S_FAILURE;
    }
    return VIRTIO_SCSI_S_FUNCTION_REJECTED;
}

} // namespace

ScsiControlQueue::ScsiControlQueue(ScsiPort& port, std::vector<std::unique_ptr<ScsiRequestQueue>>& request_queues)
    : port_(port), request_queues_(request_queues) {
    for (unsigned i = 0; i < kSize + 1u; ++i) {
        free_.push_back(slots_.emplace_back(std::make_unique<Slot>()).get());
    }
}

bool ScsiControlQueue::process(unsigned budget) {
    processing_ = true;
    const auto more = port_.transport->queue(kScsiControlQueue)
                          .consume(
                              budget, [this]() -> DescriptorChain& { return free_.back()->chain; },
                              [this](DescriptorChain&) {
                                  Slot& slot = *free_.back();
                                  free_.pop_back();
                                  handle(slot);
                              });
    processing_ = false;
    port_.transport->publish(kScsiControlQueue);
    if (!more) port_.transport->fail(more.error());
    return more.value_or(false);
}

void ScsiControlQueue::handle(Slot& slot) {
    port_.begin();
    std::uint32_t type = 0;
    if (!slot.chain.take(std::as_writable_bytes(std::span(&type, 1)))) return finish(slot, VIRTIO_SCSI_S_FAILURE);
    switch (type) {
        case VIRTIO_SCSI_T_TMF: return handle_task_management(slot);
        case VIRTIO_SCSI_T_AN_QUERY:
        case VIRTIO_SCSI_T_AN_SUBSCRIBE: return handle_notification(slot);
        default: return finish(slot, VIRTIO_SCSI_S_FAILURE);
    }
}

void ScsiControlQueue::handle_task_management(Slot& slot) {
    ScsiTaskManagement request{};
    const auto rest = std::as_writable_bytes(std::span(&request, 1)).subspan(sizeof request.type);
    if (!slot.chain.take(rest)) return finish(slot, VIRTIO_SCSI_S_FAILURE);
    const auto function = function_of(request.subtype);
    if (!function) return finish(slot, VIRTIO_SCSI_S_FUNCTION_REJECTED);
    const auto address = parse_scsi_address(request.lun);
    ScsiBus::Attachment* const attachment = address ? port_.bus.find(*address) : nullptr;
    if (attachment == nullptr) return finish(slot, VIRTIO_SCSI_S_BAD_TARGET);
    mark_aborted(*function, *attachment->nexus, address->lun, request.id);
    attachment->target->manage(*function, *attachment->nexus, address->lun, request.id,
                               [this, &slot](TaskManagementResponse response) { finish(slot, response_of(response)); });
}

void ScsiControlQueue::mark_aborted(TaskManagementFunction function, const scsi::Nexus& nexus, scsi::Lun lun,
                                    std::uint64_t tag) {
    using enum TaskManagementFunction;
    if (function != kAbortTask && function != kAbortTaskSet && function != kClearTaskSet) return;
    for (const auto& queue : request_queues_) queue->abort_if(nexus, lun, function != kAbortTask, tag);
}

void ScsiControlQueue::handle_notification(Slot& slot) {
    ScsiNotificationRequest request{};
    const auto rest = std::as_writable_bytes(std::span(&request, 1)).subspan(sizeof request.type);
    ScsiNotificationResponse response{};
    const bool framed = slot.chain.take(rest);
    const auto address = framed ? parse_scsi_address(request.lun) : std::nullopt;
    if (!framed) {
        response.response = VIRTIO_SCSI_S_FAILURE;
    } else if (!address || port_.bus.find(*address) == nullptr) {
        response.response = VIRTIO_SCSI_S_BAD_TARGET;
    }
    finish(slot, std::as_bytes(std::span(&response, 1)));
}

void ScsiControlQueue::finish(Slot& slot, std::span<const std::byte> response) {
    const std::size_t written = slot.chain.put(port_.transport->dma(), response);
    port_.transport->queue(kScsiControlQueue).push_used(slot.chain, static_cast<std::uint32_t>(written));
    free_.push_back(&slot);
    if (!processing_) port_.transport->publish(kScsiControlQueue);
    port_.end();
}

} // namespace touka::devices::virtio
