#include "scsi/iscsi/login.hpp"

#include <algorithm>

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

std::uint8_t flags_of(Stage current, Stage next) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(current) << 2 | static_cast<unsigned>(next));
}

BasicHeader response_to(const BasicHeader& request, std::uint8_t flags, LoginStatus status) {
    BasicHeader response(Opcode::kLoginResponse, flags);
    response.bytes[2] = response.bytes[3] = kProtocolVersion;
    response.set(kIsid, request.get(kIsid)).set(kTsih, request.get(kTsih));
    response.set(kInitiatorTaskTag, request.task_tag());
    response.bytes[36] = static_cast<std::uint8_t>(static_cast<unsigned>(status) >> 8);
    response.bytes[37] = static_cast<std::uint8_t>(status);
    return response;
}

} // namespace

LoginStep LoginPhase::refuse(const BasicHeader& request, LoginStatus status) {
    return {.status = status, .response = response_to(request, 0, status), .text = {}, .finished = false};
}

LoginStep LoginPhase::take(const BasicHeader& request, std::string_view data) {
    LoginStatus status = check_header(request);
    if (status != LoginStatus::kSuccess) return refuse(request, status);
    if (text_.size() + data.size() > kTextLimitBytes) return refuse(request, LoginStatus::kInitiatorError);
    text_ += data;
    const std::uint8_t stage_bits = flags_of(*stage_, Stage{});
    if (request.has(kContinue)) {
        return {.status = status, .response = response_to(request, stage_bits, status), .text = {}, .finished = false};
    }
    if (outgoing_.more()) { // an empty request asks for the rest of the answer
        if (!text_.empty()) return refuse(request, LoginStatus::kInitiatorError);
        return answer(request);
    }
    std::string reply;
    const bool transit = request.has(kTransit);
    status = take_keys(reply);
    if (status == LoginStatus::kSuccess && !identified_) status = identify(request, reply);
    if (status == LoginStatus::kSuccess) status = authenticate(transit, reply);
    if (status != LoginStatus::kSuccess) return refuse(request, status);
    if (*stage_ == Stage::kOperationalNegotiation) negotiation_.declare(reply);
    text_.clear();
    security_ = {};
    outgoing_.append(reply);
    return answer(request);
}

/// (RFC 7143 §11.12.1 to §11.12.7)
LoginStatus LoginPhase::check_header(const BasicHeader& request) {
    if (request.opcode() != Opcode::kLoginRequest) return LoginStatus::kInvalidDuringLogin;
    if (++requests_ > kRequestsLimit) return LoginStatus::kInitiatorError;
    if (request.bytes[3] > kProtocolVersion) return LoginStatus::kUnsupportedVersion;
    const bool transit = request.has(kTransit);
    const Stage current = current_stage(request.flags());
    const Stage next = next_stage(request.flags());
    if (current != Stage::kSecurityNegotiation && current != Stage::kOperationalNegotiation) {
        return LoginStatus::kInitiatorError;
    }
    if (transit && (request.has(kContinue) || next <= current || static_cast<unsigned>(next) == 2)) {
        return LoginStatus::kInitiatorError;
    }
    if (!stage_) {
        stage_ = current;
        isid_ = request.get(kIsid);
        cid_ = static_cast<std::uint16_t>(request.get(kCid));
        return LoginStatus::kSuccess;
    }
    const bool same = current == *stage_ && request.get(kIsid) == isid_ && request.get(kCid) == cid_;
    return same ? LoginStatus::kSuccess : LoginStatus::kInvalidDuringLogin;
}

LoginStatus LoginPhase::take_keys(std::string& reply) {
    const auto pairs = parse_text(text_);
    if (!pairs) return LoginStatus::kInitiatorError;
    for (const auto& [key, value] : *pairs) {
        std::optional<std::string_view>* chap_key = nullptr;
        if (key == "CHAP_A") chap_key = &security_.chap.algorithms;
        if (key == "CHAP_N") chap_key = &security_.chap.name;
        if (key == "CHAP_R") chap_key = &security_.chap.response;
        if (key == "CHAP_I") chap_key = &security_.chap.identifier;
        if (key == "CHAP_C") chap_key = &security_.chap.challenge;
        if (chap_key != nullptr) {
            if (*chap_key) return LoginStatus::kInitiatorError;
            *chap_key = value;
        } else if (key == "AuthMethod") {
            if (security_.method || method_chosen_) return LoginStatus::kInitiatorError;
            security_.method = value;
        } else {
            if (negotiation_.take({key, value}, reply) != KeyOutcome::kTaken) return LoginStatus::kInitiatorError;
            continue;
        }
        security_.any = true;
    }
    return LoginStatus::kSuccess;
}

/// The first request says who wants what. (RFC 7143 §6.3.1)
LoginStatus LoginPhase::identify(const BasicHeader& request, std::string& reply) {
    const SessionParameters& parameters = negotiation_.parameters();
    if (parameters.initiator_name.empty()) return LoginStatus::kMissingParameter;
    if (const auto tsih = static_cast<std::uint16_t>(request.get(kTsih)); tsih != 0) {
        return directory_.session_exists(tsih) ? LoginStatus::kTooManyConnections : LoginStatus::kSessionDoesNotExist;
    }
    const bool normal = parameters.type == SessionType::kNormal;
    if (normal) {
        if (parameters.target_name.empty()) return LoginStatus::kMissingParameter;
        node_ = directory_.find_target(parameters.target_name);
        const TargetPortal* const portal = node_ ? node_->at(portal_) : nullptr;
        if (portal == nullptr) return LoginStatus::kNotFound;
        if (!node_->alias.empty()) add_pair(reply, "TargetAlias", node_->alias);
        add_pair(reply, "TargetPortalGroupTag", std::to_string(portal->group_tag));
    }
    auto authentication = directory_.policy().authentication(
        parameters.initiator_name, normal ? std::string_view(parameters.target_name) : std::string_view());
    if (!authentication) return LoginStatus::kAuthorizationFailure;
    authentication_ = std::move(*authentication);
    identified_ = true;
    return LoginStatus::kSuccess;
}

/// (RFC 7143 §12.1)
LoginStatus LoginPhase::authenticate(bool transit, std::string& reply) {
    const bool required = authentication_.initiator.has_value();
    if (*stage_ != Stage::kSecurityNegotiation) {
        if (required && !(chap_ && chap_->done())) return LoginStatus::kAuthenticationFailure;
        return security_.any ? LoginStatus::kInitiatorError : LoginStatus::kSuccess;
    }
    if (security_.method) {
        const auto offers = parse_list(*security_.method);
        const std::string_view method = required ? "CHAP" : "None";
        if (std::ranges::find(offers, method) == offers.end()) return LoginStatus::kAuthenticationFailure;
        add_pair(reply, "AuthMethod", method);
        method_chosen_ = true;
        if (required) chap_.emplace(*authentication_.initiator, authentication_.target);
    }
    if (chap_) {
        if (!chap_->step(security_.chap, reply)) return LoginStatus::kAuthenticationFailure;
    } else if (security_.chap.any() || (required && transit)) {
        return LoginStatus::kAuthenticationFailure;
    }
    return LoginStatus::kSuccess;
}

bool LoginPhase::may_transit() const { return !authentication_.initiator || (chap_ && chap_->done()); }

LoginStep LoginPhase::answer(const BasicHeader& request) {
    // What the initiator declared holds from the next negotiation on; until then PDUs have the default size.
    std::string piece = outgoing_.take(kDefaultMaxRecvDataSegmentLength);
    std::uint8_t flags = flags_of(*stage_, Stage{});
    bool finished = false;
    if (outgoing_.more()) {
        flags |= kContinue;
    } else if (request.has(kTransit) && may_transit()) {
        const Stage next = next_stage(request.flags());
        flags = kTransit | flags_of(*stage_, next);
        finished = next == Stage::kFullFeaturePhase;
        stage_ = next;
    }
    return {.status = LoginStatus::kSuccess,
            .response = response_to(request, flags, LoginStatus::kSuccess),
            .text = std::move(piece),
            .finished = finished};
}

} // namespace touka::scsi::iscsi
