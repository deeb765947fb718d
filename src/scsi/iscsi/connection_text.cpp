// Text requests: SendTargets, and keys that may change while a session is there. (RFC 7143 §11.10, appendix C)
#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

void Connection::end_text(const BasicHeader& header) {
    const std::uint32_t tag = header.get32(kTargetTransferTag);
    if (tag == kReservedTag) { // a new negotiation
        request_text_.clear();
        text_ = {};
        text_transfer_tag_ = kReservedTag;
    } else if (tag != text_transfer_tag_) {
        return reject(header, RejectReason::kInvalidPduField);
    }
    if (request_text_.size() + control_data_.size() > kTextLimitBytes ||
        (header.has(kContinue) && header.has(kFinal))) {
        request_text_.clear();
        return reject(header, RejectReason::kProtocolError);
    }
    request_text_.append(control_data_.begin(), control_data_.end());
    if (!header.has(kContinue) && !text_.more()) {
        const auto pairs = parse_text(request_text_);
        if (!pairs) {
            request_text_.clear();
            return reject(header, RejectReason::kProtocolError);
        }
        std::string answer;
        for (const KeyValue& pair : *pairs) take_text_key(pair, answer);
        text_.append(answer);
        request_text_.clear();
    }
    send_text(header);
}

void Connection::send_text(const BasicHeader& request) {
    const bool whole = !request.has(kContinue);
    const std::string piece =
        whole ? text_.take(info_.parameters.initiator_max_recv_data_segment_length) : std::string();
    BasicHeader response(Opcode::kTextResponse, 0);
    response.set(kLun, request.get(kLun)).set(kInitiatorTaskTag, request.task_tag());
    if (whole && !text_.more() && request.has(kFinal)) {
        response.bytes[1] = kFinal;
        response.set(kTargetTransferTag, kReservedTag);
        text_transfer_tag_ = kReservedTag;
    } else {
        if (text_.more()) response.bytes[1] = kContinue;
        if (next_transfer_tag_ == kReservedTag) ++next_transfer_tag_;
        text_transfer_tag_ = next_transfer_tag_++;
        response.set(kTargetTransferTag, text_transfer_tag_);
    }
    reply(response, {piece.begin(), piece.end()});
}

void Connection::take_text_key(const KeyValue& pair, std::string& answer) {
    if (pair.key == "SendTargets") return send_targets(pair.value, answer);
    if (pair.key == "InitiatorAlias") return;
    if (pair.key == "MaxRecvDataSegmentLength") {
        const auto bytes = parse_number(pair.value);
        if (!bytes || *bytes < kSmallestLength || *bytes > kLargestLength) return add_pair(answer, pair.key, "Reject");
        info_.parameters.initiator_max_recv_data_segment_length = *bytes;
        return;
    }
    add_pair(answer, pair.key, is_login_key(pair.key) ? "Reject" : "NotUnderstood");
}

/// (RFC 7143 appendix C)
void Connection::send_targets(std::string_view which, std::string& answer) {
    const bool discovery = info_.parameters.type == SessionType::kDiscovery;
    if (which == "All" && !discovery) return add_pair(answer, "SendTargets", "Reject");
    if (which.empty() && discovery) return add_pair(answer, "SendTargets", "Reject");
    const std::string& initiator = info_.parameters.initiator_name;
    for (const TargetNodeRef& node : entity_.targets()) {
        const bool named = which == "All" || node->name == (which.empty() ? info_.parameters.target_name : which);
        if (!named || !entity_.policy().visible(initiator, node->name)) continue;
        add_pair(answer, "TargetName", node->name);
        for (const TargetPortal& portal : node->portals) {
            const std::string address = entity_.portal_address(portal.portal, wire_->local_address());
            if (address.empty()) continue;
            add_pair(answer, "TargetAddress", address + "," + std::to_string(portal.group_tag));
        }
    }
}

} // namespace touka::scsi::iscsi
