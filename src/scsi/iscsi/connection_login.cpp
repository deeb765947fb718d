// How a connection comes to its full feature phase.
#include <utility>

#include "scsi/iscsi/connection.hpp"
#include "scsi/iscsi/network_entity.hpp"

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

/// "name,i,0xISID". (SPC-5 §7.6.4.6)
InitiatorPort initiator_port(const std::string& name, std::uint64_t isid) {
    std::array<std::uint8_t, 6> bytes{};
    spec::scsi::store_number(bytes, isid);
    return {.protocol = spec::scsi::ProtocolIdentifier::kIscsi, .name = name + ",i," + hexadecimal(bytes)};
}

} // namespace

void Connection::end_login(const BasicHeader& header) {
    if (!std::exchange(greeted_, true)) { // the first PDU
        stat_sn_ = header.get32(kExpStatSn);
        window_.start(header.get32(kCmdSn));
    }
    const std::string_view data(reinterpret_cast<const char*>(control_data_.data()), control_data_.size());
    LoginStep step = login_->take(header, data);
    if (!step.finished) return send(std::move(step));
    info_.parameters = login_->parameters();
    info_.isid = login_->isid();
    info_.cid = login_->cid();
    node_ = login_->node();
    last_login_step_ = std::move(step);
    if (node_ == nullptr) return start_full_feature_phase();
    const TargetPortal& portal = *node_->at(portal_);
    info_.group_tag = portal.group_tag;
    info_.relative_port = portal.relative_port;
    state_ = State::kWaiting;
    entity_.reinstate(*this);
    if (state_ == State::kWaiting) receiver_.stop();
}

void Connection::send(LoginStep step) {
    const bool refused = step.status != LoginStatus::kSuccess;
    number(step.response);
    output_.push_owned(step.response, {step.text.begin(), step.text.end()});
    if (refused) {
        state_ = State::kEnding;
        since_ns_ = entity_.now_ns();
        receiver_.stop();
    }
    wire_->attention();
}

void Connection::open_session() {
    // The list of targets may have been replaced meanwhile.
    const TargetNodeRef listed = entity_.find_target(node_->name);
    if (listed == nullptr || listed->target != node_->target || listed->at(portal_) == nullptr) {
        LoginStep refusal = *std::exchange(last_login_step_, {});
        return send(LoginPhase::refuse(refusal.response, LoginStatus::kTargetRemoved));
    }
    node_ = listed;
    nexus_ = &node_->target->open(
        {.initiator = initiator_port(info_.parameters.initiator_name, info_.isid), .target_port = info_.relative_port},
        entity_.policy().units(info_.parameters.initiator_name, node_->name));
    start_full_feature_phase();
}

void Connection::start_full_feature_phase() {
    LoginStep step = *std::exchange(last_login_step_, {});
    login_.reset();
    state_ = State::kFullFeature;
    since_ns_ = silent_since_ns_ = entity_.now_ns();
    info_.tsih = entity_.new_tsih();
    step.response.set(kTsih, info_.tsih);
    send(std::move(step));
    const SessionParameters& parameters = info_.parameters;
    receiver_.set_data_segment_limit(parameters.target_max_recv_data_segment_length);
    receiver_.set_digests(parameters.header_digest, parameters.data_digest);
    output_.set_digests(parameters.header_digest, parameters.data_digest);
}

} // namespace touka::scsi::iscsi
