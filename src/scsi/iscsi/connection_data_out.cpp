// Write data: unsolicited, and solicited by R2T. (RFC 7143 §4.2.5.2, §11.7, §11.8)
#include <algorithm>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

/// What is wrong with a Data-Out PDU of a command that takes data.
std::optional<SenseCode> Connection::data_out_fault(const BasicHeader& header, const IscsiTask& task) const {
    const std::uint32_t bytes = header.data_bytes();
    const std::uint32_t tag = header.get32(kTargetTransferTag);
    std::uint32_t end = 0;
    if (tag == kReservedTag) {
        if (!task.unsolicited_open) return SenseCode::kWriteErrorUnexpectedUnsolicitedData;
        end = std::min(task.wanted_bytes, info_.parameters.first_burst_length);
    } else {
        const SolicitedBurst& burst = task.bursts[task.first_burst % task.bursts.size()];
        if (task.burst_count == 0 || burst.target_transfer_tag != tag) {
            return SenseCode::kInvalidTargetPortTransferTagReceived;
        }
        end = burst.end;
    }
    // Nothing gets lost on TCP: a number out of order stands for a PDU with a broken header. (RFC 7143 §7.9)
    if (header.get32(kDataSn) != task.next_data_sn) return SenseCode::kProtocolServiceCrcError;
    if (header.get32(kBufferOffset) != task.arrived_bytes) return SenseCode::kWriteErrorNotEnoughUnsolicitedData;
    if (bytes > end - std::min(end, task.arrived_bytes)) return SenseCode::kTooMuchWriteData;
    return std::nullopt;
}

std::uint8_t* Connection::begin_data_out(const BasicHeader& header) {
    IscsiTask* const task = tasks_.find(header.task_tag());
    if (task == nullptr || task->with_unit || !task->writes) {
        ignore_incoming_ = true; // of a command that was answered or aborted meanwhile (RFC 7143 §11.7)
        return nullptr;
    }
    incoming_ = task;
    if (task->refused) return nullptr;
    if (const auto fault = data_out_fault(header, *task)) {
        fail(*task, *fault);
        return nullptr;
    }
    return task->buffer.data() + task->arrived_bytes;
}

void Connection::end_data_out(const BasicHeader& header, bool intact) {
    if (ignore_incoming_ || incoming_ == nullptr) return;
    IscsiTask& task = *incoming_;
    incoming_ = nullptr;
    if (!intact) {
        reject(header, RejectReason::kDataDigestError);
        fail(task, SenseCode::kProtocolServiceCrcError);
    }
    if (!task.refused) {
        task.arrived_bytes += header.data_bytes();
        ++task.next_data_sn;
    }
    if (header.has(kFinal)) {
        task.next_data_sn = 0;
        if (header.get32(kTargetTransferTag) == kReservedTag) {
            task.unsolicited_open = false;
        } else if (task.burst_count > 0) {
            if (task.arrived_bytes != task.oldest_burst().end) {
                fail(task, SenseCode::kWriteErrorNotEnoughUnsolicitedData);
            }
            ++task.first_burst;
            --task.burst_count;
        }
    }
    proceed(task);
}

/// Goes on with a command whose data are collected: asks for more, hands it to its unit, or answers it.
void Connection::proceed(IscsiTask& task) {
    if (task.unsolicited_open) return;
    if (task.refused) {
        if (task.burst_count > 0) return;
        tasks_.remove(task);
        return respond(task);
    }
    if (task.arrived_bytes == task.wanted_bytes) {
        if (task.burst_count == 0) submit(task); // else a Data-Out without data, with the F bit, is still to come
        return;
    }
    task.solicited_bytes = std::max(task.solicited_bytes, task.arrived_bytes);
    while (task.burst_count < info_.parameters.max_outstanding_r2t && task.solicited_bytes < task.wanted_bytes) {
        send_r2t(task);
    }
}

void Connection::send_r2t(IscsiTask& task) {
    const std::uint32_t bytes = std::min(info_.parameters.max_burst_length, task.wanted_bytes - task.solicited_bytes);
    if (next_transfer_tag_ == kReservedTag) ++next_transfer_tag_;
    SolicitedBurst& burst = task.bursts[(task.first_burst + task.burst_count++) % task.bursts.size()];
    burst = {.target_transfer_tag = next_transfer_tag_++, .end = task.solicited_bytes + bytes};
    BasicHeader header(Opcode::kReadyToTransfer);
    header.set(kLun, task.lun.value).set(kInitiatorTaskTag, task.tag);
    header.set(kTargetTransferTag, burst.target_transfer_tag).set(kR2tSn, task.r2t_sn++);
    header.set(kBufferOffset, task.solicited_bytes).set(kDesiredDataTransferLength, bytes);
    number(header, false);
    output_.push(header);
    task.solicited_bytes += bytes;
    ++info_.counters.ready_to_transfers;
    wire_->attention();
}

/// Ends a command by itself, once all that is on its way for it has come.
void Connection::refuse(IscsiTask& task, Status status) {
    if (task.refused) return;
    task.refused = true;
    task.status = status;
}

void Connection::fail(IscsiTask& task, SenseCode code) {
    if (task.refused) return;
    ++info_.counters.failed_transfers;
    refuse(task, Status::kCheckCondition);
    task.sense = encode(Sense::of(SenseKey::kAbortedCommand, code), SenseFormat::kFixed);
}

} // namespace touka::scsi::iscsi
