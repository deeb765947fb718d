// PERSISTENT RESERVE IN and OUT on the wire, and TransportIDs. (SPC-5 §6.16, §6.17, §7.6.4)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::scsi {

/// TYPE of a persistent reservation. (SPC-5 §6.16.3.4)
enum class ReservationType : std::uint8_t {
    kWriteExclusive = 0x1,
    kExclusiveAccess = 0x3,
    kWriteExclusiveRegistrantsOnly = 0x5,
    kExclusiveAccessRegistrantsOnly = 0x6,
    kWriteExclusiveAllRegistrants = 0x7,
    kExclusiveAccessAllRegistrants = 0x8,
};

/// SCOPE: the logical unit; the only one that is not obsolete. (SPC-5 §6.16.3.3)
inline constexpr std::uint8_t kLogicalUnitScope = 0x0;

/// (SPC-5 §6.16.1)
namespace persistent_reserve_in {
inline constexpr std::uint16_t kReadKeys = 0x00, kReadReservation = 0x01, kReportCapabilities = 0x02,
                               kReadFullStatus = 0x03;
} // namespace persistent_reserve_in

/// (SPC-5 §6.17.2)
namespace persistent_reserve_out {
inline constexpr std::uint16_t kRegister = 0x00, kReserve = 0x01, kRelease = 0x02, kClear = 0x03, kPreempt = 0x04,
                               kPreemptAndAbort = 0x05, kRegisterAndIgnoreExistingKey = 0x06, kRegisterAndMove = 0x07,
                               kReplaceLostReservation = 0x08;

/// The parameter list of all service actions but REGISTER AND MOVE. (SPC-5 §6.17.3)
inline constexpr std::size_t kBasicBytes = 24;
inline constexpr std::size_t kReservationKeyOffset = 0, kServiceActionKeyOffset = 8; ///< 8 bytes each
inline constexpr std::size_t kFlagsOffset = 20;
inline constexpr std::uint8_t kSpecifyInitiatorPorts = 1u << 3, kAllTargetPorts = 1u << 2, kPersists = 1u << 0;
/// TRANSPORTID PARAMETER DATA LENGTH, 4 bytes; TransportIDs follow.
inline constexpr std::size_t kTransportIdsLengthOffset = 24, kTransportIdsOffset = 28;

/// REGISTER AND MOVE. (SPC-5 §6.17.4)
inline constexpr std::size_t kMoveFlagsOffset = 17;
inline constexpr std::uint8_t kUnregister = 1u << 1, kMovePersists = 1u << 0;
inline constexpr std::size_t kMoveTargetPortOffset = 18;        ///< 2 bytes
inline constexpr std::size_t kMoveTransportIdLengthOffset = 20; ///< 4 bytes
inline constexpr std::size_t kMoveTransportIdOffset = 24;
} // namespace persistent_reserve_out

/// Bytes 2 and 3 of REPORT CAPABILITIES. (SPC-5 §6.16.4)
namespace reservation_capability {
inline constexpr std::size_t kBytes = 8;
inline constexpr std::uint8_t kCompatibleHandling = 1u << 4, kSpecifyInitiatorPorts = 1u << 3,
                              kAllTargetPorts = 1u << 2, kPersistCapable = 1u << 0;
inline constexpr std::uint8_t kTypeMaskValid = 1u << 7, kPersistActivated = 1u << 0;
/// ALLOW COMMANDS 001b: TEST UNIT READY is allowed, nothing is said of other commands.
inline constexpr std::uint8_t kTestUnitReadyAllowed = 1u << 4;
/// PERSISTENT RESERVATION TYPE MASK, 2 bytes at byte 4: all six types.
inline constexpr std::uint16_t kAllTypes = 0xEA01;
} // namespace reservation_capability

/// One descriptor of READ FULL STATUS, before its TransportID. (SPC-5 §6.16.5)
namespace full_status {
inline constexpr std::size_t kBytes = 24;
inline constexpr std::size_t kFlagsOffset = 12, kScopeAndTypeOffset = 13, kTargetPortOffset = 18,
                             kTransportIdLengthOffset = 20;
inline constexpr std::uint8_t kHolder = 1u << 0;
} // namespace full_status

/// TransportIDs. (SPC-5 §7.6.4)
namespace transport_id {
/// Of those of fixed length, and the shortest of the others.
inline constexpr std::size_t kBytes = 24;
/// TPID FORMAT, in the two high bits of byte 0. Others than iSCSI have only 00b.
inline constexpr std::uint8_t kIscsiDevice = 0x0, kIscsiPort = 0x1;
inline constexpr std::uint8_t kReservedBits = 0x30;       ///< of byte 0
inline constexpr std::size_t kFibreChannelNameOffset = 8; ///< N_Port_Name, 8 bytes (§7.6.4.2)
inline constexpr std::size_t kSasAddressOffset = 4;       ///< 8 bytes (§7.6.4.5)
/// iSCSI: ADDITIONAL LENGTH, 2 bytes at byte 2, at least 20 and a multiple of 4; then the name. (§7.6.4.6)
inline constexpr std::size_t kIscsiLengthOffset = 2, kIscsiNameOffset = 4;
inline constexpr std::size_t kIscsiNameLimitBytes = 223; ///< of an iSCSI name (RFC 7143 §4.2.7.1)
} // namespace transport_id

} // namespace touka::spec::scsi
