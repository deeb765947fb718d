// NOP, Logout, Asynchronous Message, and requests that are refused. (RFC 7143 §11.9, §11.14, §11.18)
#include <algorithm>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

void Connection::end_control(const BasicHeader& header) {
    switch (header.opcode()) {
        case Opcode::kNopOut:
        case Opcode::kTaskManagementRequest:
        case Opcode::kTextRequest:
        case Opcode::kLogoutRequest:
            if (!accept_number(header)) return;
            break;
        case Opcode::kSnackRequest: return reject(header, RejectReason::kSnackReject);
        case Opcode::kLoginRequest: return reject(header, RejectReason::kProtocolError);
        default: return reject(header, RejectReason::kCommandNotSupported);
    }
    switch (header.opcode()) {
        case Opcode::kNopOut: return end_nop_out(header);
        case Opcode::kTaskManagementRequest: return end_task_management(header);
        case Opcode::kTextRequest: return end_text(header);
        default: return end_logout(header);
    }
}

void Connection::end_nop_out(const BasicHeader& header) {
    if (header.task_tag() == kReservedTag) return; // the answer to a ping of ours, or nothing that wants one
    BasicHeader response(Opcode::kNopIn);
    response.set(kLun, header.get(kLun)).set(kInitiatorTaskTag, header.task_tag());
    response.set(kTargetTransferTag, kReservedTag);
    const std::size_t bytes =
        std::min<std::size_t>(control_data_.size(), info_.parameters.initiator_max_recv_data_segment_length);
    reply(response, {control_data_.begin(), control_data_.begin() + static_cast<std::ptrdiff_t>(bytes)});
}

void Connection::send_ping(std::uint64_t now_ns) {
    pinged_ns_ = now_ns;
    if (next_transfer_tag_ == kReservedTag) ++next_transfer_tag_;
    BasicHeader ping(Opcode::kNopIn);
    ping.set(kInitiatorTaskTag, kReservedTag).set(kTargetTransferTag, next_transfer_tag_++);
    number(ping, false);
    output_.push(ping);
    wire_->attention();
}

void Connection::end_logout(const BasicHeader& header) {
    const auto reason = LogoutReason(header.flags() & 0x7F);
    auto result = LogoutResponse::kSuccess;
    if (reason == LogoutReason::kRecovery) {
        result = LogoutResponse::kRecoveryNotSupported;
    } else if (reason != LogoutReason::kCloseSession && reason != LogoutReason::kCloseConnection) {
        return reject(header, RejectReason::kInvalidPduField);
    } else if (reason == LogoutReason::kCloseConnection && header.get(kCid) != info_.cid) {
        result = LogoutResponse::kCidNotFound;
    }
    BasicHeader response(Opcode::kLogoutResponse);
    response.bytes[2] = static_cast<std::uint8_t>(result);
    response.set(kInitiatorTaskTag, header.task_tag());
    response.set(kTime2Wait, info_.parameters.time2wait_s);
    reply(response);
    if (result == LogoutResponse::kSuccess) end_after_output();
}

/// Says what there is to say, and takes nothing any more.
void Connection::end_after_output() {
    state_ = State::kEnding;
    since_ns_ = entity_.now_ns();
    receiver_.stop();
    wire_->attention();
}

void Connection::request_logout(std::uint16_t seconds) {
    if (state_ != State::kFullFeature) return drop();
    drop_at_ns_ = entity_.now_ns() + seconds * std::uint64_t{1'000'000'000};
    BasicHeader message(Opcode::kAsynchronousMessage);
    message.set(kInitiatorTaskTag, kReservedTag);
    message.set(kAsyncEvent, static_cast<std::uint8_t>(AsyncEvent::kLogoutRequested));
    message.set(kAsyncParameter3, seconds);
    reply(message);
}

void Connection::report_sense(Lun lun, const SenseData& sense) {
    if (state_ != State::kFullFeature || nexus_ == nullptr) return;
    BasicHeader message(Opcode::kAsynchronousMessage);
    message.set(kLun, lun.value).set(kInitiatorTaskTag, kReservedTag);
    message.set(kAsyncEvent, static_cast<std::uint8_t>(AsyncEvent::kSense));
    std::vector<std::uint8_t> data(2);
    spec::scsi::store_number(data, sense.bytes().size());
    data.insert(data.end(), sense.bytes().begin(), sense.bytes().end());
    reply(message, std::move(data));
}

} // namespace touka::scsi::iscsi
