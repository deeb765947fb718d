#pragma once

#include <cstdint>
#include <string>

#include "spec/scsi/iscsi_login.hpp"

namespace touka::scsi::iscsi {

/// What one side is ready for, in operational negotiation. (RFC 7143 §13)
struct ParameterLimits {
    bool initial_r2t = false; ///< true: unsolicited Data-Out is never accepted
    bool immediate_data = true;
    std::uint32_t max_recv_data_segment_length = 262'144;
    std::uint32_t max_burst_length = 1 << 20;
    std::uint32_t first_burst_length = 262'144;
    std::uint32_t max_outstanding_r2t = 4;         ///< 1 to kOutstandingR2tLimit
    bool header_digest = true, data_digest = true; ///< false: never
};
inline constexpr std::uint32_t kOutstandingR2tLimit = 8;

enum class SessionType : std::uint8_t { kNormal, kDiscovery };

/// The outcome of a login; before that, the defaults of RFC 7143 §13.
struct SessionParameters {
    SessionType type = SessionType::kNormal;
    std::string initiator_name, initiator_alias, target_name;
    bool header_digest = false, data_digest = false;
    bool initial_r2t = true, immediate_data = true;
    /// What the initiator takes, and what we said that we take.
    std::uint32_t initiator_max_recv_data_segment_length = spec::iscsi::kDefaultMaxRecvDataSegmentLength;
    std::uint32_t target_max_recv_data_segment_length = spec::iscsi::kDefaultMaxRecvDataSegmentLength;
    std::uint32_t max_burst_length = spec::iscsi::kDefaultMaxBurstLength;
    std::uint32_t first_burst_length = spec::iscsi::kDefaultFirstBurstLength;
    std::uint32_t max_outstanding_r2t = 1;
    std::uint32_t protocol_level = 1;
    std::uint32_t time2wait_s = 2;
};

} // namespace touka::scsi::iscsi
