#include "scsi/iscsi/negotiation.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace touka::scsi::iscsi {

using namespace spec::iscsi;

namespace {

using Limits = const ParameterLimits&;
using Parameters = SessionParameters&;
/// @return the answer, "" for declarations, nothing for a declaration that cannot be.
using Answer = std::optional<std::string>;

constexpr std::string_view kReject = "Reject", kIrrelevant = "Irrelevant";

std::string yes_or_no(bool value) { return value ? "Yes" : "No"; }

/// A number of which the smaller counts.
Answer smaller(std::string_view value, std::uint32_t least, std::uint32_t most, std::uint32_t ours,
               std::uint32_t& outcome) {
    const auto number = parse_number(value);
    if (!number || *number < least || *number > most) return std::string(kReject);
    outcome = std::min(*number, ours);
    return std::to_string(outcome);
}

/// (RFC 7143 §13.1)
Answer digest(std::string_view value, bool allowed, bool& outcome) {
    for (const std::string_view member : parse_list(value)) {
        if (member == "None") {
            outcome = false;
            return std::string(member);
        }
        if (member == "CRC32C" && allowed) {
            outcome = true;
            return std::string(member);
        }
    }
    return std::string(kReject);
}

Answer name(std::string_view value, std::string& to) {
    if (!is_iscsi_name(value)) return std::nullopt;
    to = value;
    return "";
}

/// Values that this target has only one of.
Answer always(std::string_view value, bool ours) {
    if (!parse_boolean(value)) return std::string(kReject);
    return yes_or_no(ours);
}

struct Key {
    std::string_view name;
    bool in_discovery; ///< has a meaning there
    Answer (*take)(std::string_view value, Limits limits, Parameters parameters);
};

constexpr std::array kKeys{
    Key{"InitiatorName", true, [](std::string_view v, Limits, Parameters p) { return name(v, p.initiator_name); }},
    Key{"TargetName", true, [](std::string_view v, Limits, Parameters p) { return name(v, p.target_name); }},
    Key{"InitiatorAlias", true,
        [](std::string_view v, Limits, Parameters p) -> Answer {
            p.initiator_alias = v.substr(0, 255);
            return "";
        }},
    Key{"SessionType", true,
        [](std::string_view v, Limits, Parameters p) -> Answer {
            if (v != "Normal" && v != "Discovery") return std::nullopt;
            p.type = v == "Normal" ? SessionType::kNormal : SessionType::kDiscovery;
            return "";
        }},
    Key{"HeaderDigest", true,
        [](std::string_view v, Limits l, Parameters p) { return digest(v, l.header_digest, p.header_digest); }},
    Key{"DataDigest", true,
        [](std::string_view v, Limits l, Parameters p) { return digest(v, l.data_digest, p.data_digest); }},
    Key{"MaxConnections", false,
        [](std::string_view v, Limits, Parameters) {
            std::uint32_t outcome = 0;
            return smaller(v, 1, 65535, 1, outcome);
        }},
    Key{"InitialR2T", false,
        [](std::string_view v, Limits l, Parameters p) -> Answer {
            const auto offer = parse_boolean(v);
            if (!offer) return std::string(kReject);
            p.initial_r2t = *offer || l.initial_r2t;
            return yes_or_no(p.initial_r2t);
        }},
    Key{"ImmediateData", false,
        [](std::string_view v, Limits l, Parameters p) -> Answer {
            const auto offer = parse_boolean(v);
            if (!offer) return std::string(kReject);
            p.immediate_data = *offer && l.immediate_data;
            return yes_or_no(p.immediate_data);
        }},
    Key{"MaxRecvDataSegmentLength", true,
        [](std::string_view v, Limits, Parameters p) -> Answer {
            const auto number = parse_number(v);
            if (!number || *number < kSmallestLength || *number > kLargestLength) return std::nullopt;
            p.initiator_max_recv_data_segment_length = *number;
            return "";
        }},
    Key{"MaxBurstLength", false,
        [](std::string_view v, Limits l, Parameters p) {
            return smaller(v, kSmallestLength, kLargestLength, l.max_burst_length, p.max_burst_length);
        }},
    Key{"FirstBurstLength", false,
        [](std::string_view v, Limits l, Parameters p) {
            return smaller(v, kSmallestLength, kLargestLength, l.first_burst_length, p.first_burst_length);
        }},
    Key{"DefaultTime2Wait", true,
        [](std::string_view v, Limits, Parameters p) -> Answer {
            const auto number = parse_number(v);
            if (!number || *number > 3600) return std::string(kReject);
            p.time2wait_s = *number; // the larger counts, ours is 0
            return std::to_string(*number);
        }},
    Key{"DefaultTime2Retain", true,
        [](std::string_view v, Limits, Parameters) {
            std::uint32_t outcome = 0; // nothing is retained at error recovery level 0
            return smaller(v, 0, 3600, 0, outcome);
        }},
    Key{"MaxOutstandingR2T", false,
        [](std::string_view v, Limits l, Parameters p) {
            return smaller(v, 1, 65535, std::clamp(l.max_outstanding_r2t, 1u, kOutstandingR2tLimit),
                           p.max_outstanding_r2t);
        }},
    Key{"DataPDUInOrder", false, [](std::string_view v, Limits, Parameters) { return always(v, true); }},
    Key{"DataSequenceInOrder", false, [](std::string_view v, Limits, Parameters) { return always(v, true); }},
    Key{"ErrorRecoveryLevel", true,
        [](std::string_view v, Limits, Parameters) {
            std::uint32_t outcome = 0;
            return smaller(v, 0, 2, 0, outcome);
        }},
    Key{"iSCSIProtocolLevel", true,
        [](std::string_view v, Limits, Parameters p) { return smaller(v, 0, 31, 2, p.protocol_level); }},
    Key{"TaskReporting", false,
        [](std::string_view v, Limits, Parameters) -> Answer { // (RFC 7143 §13.23)
            const auto offers = parse_list(v);
            return std::string(std::ranges::find(offers, "RFC3720") != offers.end() ? "RFC3720" : kReject);
        }},
    // Obsolete; NotUnderstood is not allowed for them. (RFC 7143 §13.25)
    Key{"IFMarker", true, [](std::string_view, Limits, Parameters) -> Answer { return "No"; }},
    Key{"OFMarker", true, [](std::string_view, Limits, Parameters) -> Answer { return "No"; }},
    Key{"IFMarkInt", true, [](std::string_view, Limits, Parameters) -> Answer { return std::string(kIrrelevant); }},
    Key{"OFMarkInt", true, [](std::string_view, Limits, Parameters) -> Answer { return std::string(kIrrelevant); }},
    // Only targets declare these; this one not while login goes on.
    Key{"TargetAlias", true, [](std::string_view, Limits, Parameters) -> Answer { return std::nullopt; }},
    Key{"TargetAddress", true, [](std::string_view, Limits, Parameters) -> Answer { return std::nullopt; }},
    Key{"TargetPortalGroupTag", true, [](std::string_view, Limits, Parameters) -> Answer { return std::nullopt; }},
    Key{"SendTargets", true, [](std::string_view, Limits, Parameters) -> Answer { return std::string(kReject); }},
};
static_assert(kKeys.size() <= 64);

} // namespace

bool is_login_key(std::string_view key) { return std::ranges::find(kKeys, key, &Key::name) != kKeys.end(); }

Negotiation::Negotiation(const ParameterLimits& limits) : limits_(limits) {
    // We never answer a first burst that is longer than a burst. (RFC 7143 §13.14)
    limits_.first_burst_length = std::min(limits_.first_burst_length, limits_.max_burst_length);
}

KeyOutcome Negotiation::take(const KeyValue& pair, std::string& reply) {
    // Answers to what was never offered by us.
    if (pair.value == "NotUnderstood" || pair.value == kIrrelevant || pair.value == kReject) return KeyOutcome::kTaken;
    const auto key = std::ranges::find(kKeys, pair.key, &Key::name);
    if (key == kKeys.end()) {
        add_pair(reply, pair.key, "NotUnderstood");
        return KeyOutcome::kTaken;
    }
    const auto index = static_cast<std::size_t>(key - kKeys.begin());
    if (seen_[index]) return KeyOutcome::kProtocolError;
    seen_.set(index);
    const Answer answer = key->take(pair.value, limits_, parameters_);
    if (!answer) return KeyOutcome::kProtocolError;
    const bool irrelevant = parameters_.type == SessionType::kDiscovery && !key->in_discovery;
    if (!answer->empty()) add_pair(reply, pair.key, irrelevant ? kIrrelevant : *answer);
    return KeyOutcome::kTaken;
}

void Negotiation::declare(std::string& reply) {
    if (std::exchange(declared_, true)) return;
    parameters_.target_max_recv_data_segment_length = limits_.max_recv_data_segment_length;
    add_pair(reply, "MaxRecvDataSegmentLength", std::to_string(limits_.max_recv_data_segment_length));
}

} // namespace touka::scsi::iscsi
