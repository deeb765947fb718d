// What goes to the initiator: data, status, and the numbers in every PDU. (RFC 7143 §11.4, §11.7)
#include <algorithm>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

constexpr std::size_t kQueuedPdus = 128; // made ahead of what the wire takes

/// (RFC 7143 §11.4.5)
void set_residual(BasicHeader& header, const IscsiTask& task) {
    std::uint64_t moved = task.transfer_bytes;
    if (task.reads && task.status != Status::kGood) moved = std::min(moved, task.data_in_bytes);
    // What was declared beyond this was neither asked for nor sent.
    if (task.expected_bytes > BufferPool::kLargestBytes)
        moved = std::min<std::uint64_t>(moved, BufferPool::kLargestBytes);
    if (moved > task.expected_bytes) {
        header.bytes[1] |= kResidualOverflow;
        header.set(kResidualCount, std::min<std::uint64_t>(moved - task.expected_bytes, 0xFFFF'FFFF));
    } else if (moved < task.expected_bytes) {
        header.bytes[1] |= kResidualUnderflow;
        header.set(kResidualCount, task.expected_bytes - moved);
    }
}

} // namespace

/// The response goes out: the command's place is free.
void Connection::leave(const IscsiTask& task) {
    if (task.immediate) {
        --immediate_tasks_;
    } else {
        window_.vacate();
    }
}

/// Sequence numbers. @param advance the PDU has a status number of its own.
void Connection::number(BasicHeader& header, bool advance) {
    header.set(kStatSn, stat_sn_).set(kExpCmdSn, window_.expected()).set(kMaxCmdSn, window_.largest());
    if (advance) ++stat_sn_;
}

void Connection::reply(BasicHeader header, std::vector<std::uint8_t> data) {
    number(header);
    output_.push_owned(header, std::move(data));
    wire_->attention();
}

/// (RFC 7143 §11.17)
void Connection::reject(const BasicHeader& header, RejectReason reason) {
    ++info_.counters.rejects;
    BasicHeader rejection(Opcode::kReject);
    rejection.bytes[2] = static_cast<std::uint8_t>(reason);
    rejection.set(kInitiatorTaskTag, kReservedTag);
    reply(rejection, {header.bytes.begin(), header.bytes.end()});
}

void Connection::completed(IscsiTask& task) {
    tasks_.remove(task);
    if (!task.aborted && state_ == State::kFullFeature) return respond(task);
    leave(task);
    release(task);
}

/// The command is over for the session: its tag and its place in the window are free. Its memory counts against the
/// network entity's alone; units let no initiator have much of that (LateTasks).
void Connection::give_up(IscsiTask& task) {
    tasks_.remove(task);
    if (task.aborted || state_ != State::kFullFeature) {
        leave(task);
    } else {
        output_.push(status_header(task)); // nothing of it is the task's, which stays with the host
        wire_->attention();
    }
    memory_bytes_ -= task.buffer.size();
    task.last_nexus.emplace(Nexus{.name = nexus_->name, .index = nexus_->index, .units = {}});
    task.nexus = &*task.last_nexus;
    task.store = entity_.task_store();
    task.connection = nullptr;
}

/// @pre the task is in no list.
void Connection::respond(IscsiTask& task) {
    (last_response_ == nullptr ? first_response_ : last_response_->next) = &task;
    last_response_ = &task;
    wire_->attention();
}

void Connection::fill_output() {
    while (first_response_ != nullptr && (flush_responses_ || output_.size() < kQueuedPdus)) {
        IscsiTask& task = *first_response_;
        IscsiTask* const next = task.next;
        if (!emit(task)) return;
        first_response_ = next;
        if (next == nullptr) last_response_ = nullptr;
    }
}

/// Queues PDUs of a response. @return whether that was all of it.
bool Connection::emit(IscsiTask& task) {
    const auto total =
        static_cast<std::uint32_t>(task.reads ? std::min<std::uint64_t>(task.data_in_bytes, task.piece.iov_len) : 0);
    const SessionParameters& parameters = info_.parameters;
    while (task.sent_bytes < total) {
        if (output_.size() >= kQueuedPdus && !flush_responses_) return false;
        const std::uint32_t burst_left = parameters.max_burst_length - task.sent_bytes % parameters.max_burst_length;
        const std::uint32_t bytes =
            std::min({parameters.initiator_max_recv_data_segment_length, burst_left, total - task.sent_bytes});
        const bool last = task.sent_bytes + bytes == total;
        const bool with_status = last && task.status == Status::kGood && task.sense.empty();
        BasicHeader header(Opcode::kDataIn, last || bytes == burst_left ? kFinal : std::uint8_t{0});
        header.set(kInitiatorTaskTag, task.tag).set(kTargetTransferTag, kReservedTag);
        header.set(kDataSn, task.data_sn++).set(kBufferOffset, task.sent_bytes);
        if (with_status) {
            leave(task);
            header.bytes[1] |= kStatusFlag;
            set_residual(header, task);
        }
        number(header, with_status);
        if (!with_status) header.set(kStatSn, 0);
        output_.push(header, {task.buffer.data() + task.sent_bytes, bytes}, with_status ? &task : nullptr);
        task.sent_bytes += bytes;
        info_.counters.data_in_bytes += bytes;
        if (with_status) return true;
    }
    emit_status(task);
    return true;
}

BasicHeader Connection::status_header(const IscsiTask& task) {
    leave(task);
    BasicHeader header(Opcode::kScsiResponse);
    header.bytes[3] = static_cast<std::uint8_t>(task.status);
    header.set(kInitiatorTaskTag, task.tag);
    header.set(kExpDataSn, task.data_sn + task.r2t_sn);
    set_residual(header, task);
    number(header);
    return header;
}

void Connection::emit_status(IscsiTask& task) {
    const BasicHeader header = status_header(task);
    std::span<const std::uint8_t> data;
    if (const auto sense = task.sense.bytes(); !sense.empty()) { // (RFC 7143 §11.4.7)
        spec::scsi::store_number(std::span(task.sense_segment).first(2), sense.size());
        std::ranges::copy(sense, task.sense_segment.begin() + 2);
        data = std::span(task.sense_segment).first(2 + sense.size());
    }
    output_.push(header, data, &task);
}

} // namespace touka::scsi::iscsi
