// iSCSI login: stages, status codes, and the limits of keys. (RFC 7143 §6, §11.12, §11.13, §12, §13)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::iscsi {

/// CSG and NSG. (RFC 7143 §11.12.3)
enum class Stage : std::uint8_t { kSecurityNegotiation = 0, kOperationalNegotiation = 1, kFullFeaturePhase = 3 };
inline constexpr std::uint8_t kTransit = 0x80;

/// Byte 1 of Login PDUs.
[[nodiscard]] constexpr Stage current_stage(std::uint8_t flags) { return Stage(flags >> 2 & 3); }
[[nodiscard]] constexpr Stage next_stage(std::uint8_t flags) { return Stage(flags & 3); }
static_assert(current_stage(0x87) == Stage::kOperationalNegotiation && next_stage(0x87) == Stage::kFullFeaturePhase);

/// Status-Class in the high byte, Status-Detail in the low one. (RFC 7143 §11.13.5)
enum class LoginStatus : std::uint16_t {
    kSuccess = 0x0000,
    kInitiatorError = 0x0200,
    kAuthenticationFailure = 0x0201,
    kAuthorizationFailure = 0x0202,
    kNotFound = 0x0203,
    kTargetRemoved = 0x0204,
    kUnsupportedVersion = 0x0205,
    kTooManyConnections = 0x0206,
    kMissingParameter = 0x0207,
    kCannotIncludeInSession = 0x0208,
    kSessionTypeNotSupported = 0x0209,
    kSessionDoesNotExist = 0x020A,
    kInvalidDuringLogin = 0x020B,
    kTargetError = 0x0300,
    kServiceUnavailable = 0x0301,
    kOutOfResources = 0x0302,
};

inline constexpr std::uint8_t kProtocolVersion = 0x00; ///< (RFC 7143 §11.12.4)

/// Until both sides said otherwise. (RFC 7143 §13)
inline constexpr std::uint32_t kDefaultMaxRecvDataSegmentLength = 8192;
inline constexpr std::uint32_t kDefaultMaxBurstLength = 262144;
inline constexpr std::uint32_t kDefaultFirstBurstLength = 65536;
inline constexpr std::uint32_t kSmallestLength = 512; ///< of the three above
inline constexpr std::uint32_t kLargestLength = (1u << 24) - 1;
inline constexpr std::uint32_t kKeyNameLimitBytes = 63; ///< (RFC 7143 §6.1)
inline constexpr std::uint32_t kNameLimitBytes = 223;   ///< iSCSI names (RFC 7143 §4.2.7.1)

/// CHAP algorithms by their number. (RFC 7143 §12.1.3, IANA PPP Authentication Algorithms)
enum class ChapAlgorithm : std::uint8_t { kMd5 = 5, kSha1 = 6, kSha256 = 7, kSha3 = 8 }; // the last: SHA3-256
inline constexpr std::size_t kChapChallengeLimitBytes = 1024;                            ///< (RFC 7143 §12.1.3)

} // namespace touka::spec::iscsi
