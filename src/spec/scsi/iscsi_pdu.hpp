// iSCSI protocol data units: operation codes, fields by byte offset, flags and codes. (RFC 7143 §11, RFC 7144 §6)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::iscsi {

inline constexpr std::uint16_t kWellKnownPort = 3260; ///< (RFC 7143 §14)

/// Basic header segment, and what may follow it in words of four bytes. (RFC 7143 §11.2.1)
inline constexpr std::size_t kBasicHeaderBytes = 48;
inline constexpr std::size_t kDigestBytes = 4;
inline constexpr std::size_t kAdditionalHeaderLimitBytes = 255 * 4;

/// Low six bits of byte 0. (RFC 7143 §11.2.1.2)
enum class Opcode : std::uint8_t {
    kNopOut = 0x00,
    kScsiCommand = 0x01,
    kTaskManagementRequest = 0x02,
    kLoginRequest = 0x03,
    kTextRequest = 0x04,
    kDataOut = 0x05,
    kLogoutRequest = 0x06,
    kSnackRequest = 0x10,
    kNopIn = 0x20,
    kScsiResponse = 0x21,
    kTaskManagementResponse = 0x22,
    kLoginResponse = 0x23,
    kTextResponse = 0x24,
    kDataIn = 0x25,
    kLogoutResponse = 0x26,
    kReadyToTransfer = 0x31,
    kAsynchronousMessage = 0x32,
    kReject = 0x3F,
};
inline constexpr std::uint8_t kOpcodeMask = 0x3F;
inline constexpr std::uint8_t kImmediate = 0x40; ///< byte 0 of a request

/// A number within a basic header segment.
struct HeaderField {
    std::uint8_t offset;
    std::uint8_t bytes;
};
inline constexpr HeaderField kTotalAhsLength{4, 1}; ///< in words of four bytes
inline constexpr HeaderField kDataSegmentLength{5, 3};
inline constexpr HeaderField kLun{8, 8};
inline constexpr HeaderField kIsid{8, 6};
inline constexpr HeaderField kTsih{14, 2};
inline constexpr HeaderField kInitiatorTaskTag{16, 4};
inline constexpr HeaderField kTargetTransferTag{20, 4};
inline constexpr HeaderField kExpectedDataTransferLength{20, 4}; ///< SCSI Command (§11.3.4)
inline constexpr HeaderField kReferencedTaskTag{20, 4};          ///< Task Management Function Request (§11.5.5)
inline constexpr HeaderField kCid{20, 2};                        ///< Login and Logout Request
inline constexpr HeaderField kCmdSn{24, 4};                      ///< requests
inline constexpr HeaderField kStatSn{24, 4};                     ///< responses
inline constexpr HeaderField kExpStatSn{28, 4};                  ///< requests
inline constexpr HeaderField kExpCmdSn{28, 4};                   ///< responses
inline constexpr HeaderField kMaxCmdSn{32, 4};                   ///< responses
inline constexpr HeaderField kRefCmdSn{32, 4};                   ///< Task Management Function Request (§11.5.6)
inline constexpr HeaderField kCdb{32, 16};                       ///< SCSI Command
inline constexpr HeaderField kDataSn{36, 4};                     ///< SCSI Data-Out and Data-In (§11.7.5)
inline constexpr HeaderField kExpDataSn{36, 4};                  ///< SCSI Response (§11.4.8)
inline constexpr HeaderField kR2tSn{36, 4};                      ///< (§11.8.3)
inline constexpr HeaderField kBufferOffset{40, 4};               ///< SCSI Data-Out, Data-In and R2T (§11.7.6)
inline constexpr HeaderField kDesiredDataTransferLength{44, 4};  ///< R2T (§11.8.4)
inline constexpr HeaderField kResidualCount{44, 4};              ///< SCSI Response and Data-In (§11.4.5)
inline constexpr HeaderField kTime2Wait{40, 2};                  ///< Logout Response (§11.15.3)
inline constexpr HeaderField kTime2Retain{42, 2};                ///< Logout Response (§11.15.4)
inline constexpr HeaderField kAsyncEvent{36, 1};                 ///< (§11.9.1)
inline constexpr HeaderField kAsyncParameter3{42, 2};            ///< (§11.9.3)

inline constexpr std::uint32_t kReservedTag = 0xFFFF'FFFF;

// Byte 1.
inline constexpr std::uint8_t kFinal = 0x80;
inline constexpr std::uint8_t kContinue = 0x40; ///< Text and Login
inline constexpr std::uint8_t kReadFlag = 0x40; ///< SCSI Command (§11.3.1)
inline constexpr std::uint8_t kWriteFlag = 0x20;
inline constexpr std::uint8_t kAttributeMask = 0x07;
inline constexpr std::uint8_t kResidualOverflow = 0x04; ///< SCSI Response and Data-In (§11.4.1, §11.7.1)
inline constexpr std::uint8_t kResidualUnderflow = 0x02;
inline constexpr std::uint8_t kStatusFlag = 0x01; ///< Data-In with status (§11.7.3)

/// Task attributes of a SCSI Command. (RFC 7143 §11.3.1)
enum class Attribute : std::uint8_t { kUntagged, kSimple, kOrdered, kHeadOfQueue, kAca };

/// Additional header segments. (RFC 7143 §11.2.2.1)
enum class AhsType : std::uint8_t { kExtendedCdb = 1, kBidirectionalReadLength = 2 };

/// (RFC 7143 §11.5.1, RFC 7144 §6.2)
enum class TaskFunction : std::uint8_t {
    kAbortTask = 1,
    kAbortTaskSet = 2,
    kClearAca = 3,
    kClearTaskSet = 4,
    kLogicalUnitReset = 5,
    kTargetWarmReset = 6,
    kTargetColdReset = 7,
    kTaskReassign = 8,
    kQueryTask = 9,
    kQueryTaskSet = 10,
    kItNexusReset = 11,
    kQueryAsynchronousEvent = 12,
};

/// (RFC 7143 §11.6.1, RFC 7144 §6.3)
enum class TaskResponse : std::uint8_t {
    kComplete = 0,
    kTaskDoesNotExist = 1,
    kLunDoesNotExist = 2,
    kTaskStillAllegiant = 3,
    kReassignmentNotSupported = 4,
    kNotSupported = 5,
    kAuthorizationFailed = 6,
    kSucceeded = 7,
    kRejected = 255,
};

/// (RFC 7143 §11.14.1)
enum class LogoutReason : std::uint8_t { kCloseSession = 0, kCloseConnection = 1, kRecovery = 2 };
/// (RFC 7143 §11.15.1)
enum class LogoutResponse : std::uint8_t { kSuccess = 0, kCidNotFound = 1, kRecoveryNotSupported = 2 };

/// (RFC 7143 §11.17.1)
enum class RejectReason : std::uint8_t {
    kDataDigestError = 0x02,
    kSnackReject = 0x03,
    kProtocolError = 0x04,
    kCommandNotSupported = 0x05,
    kTooManyImmediateCommands = 0x06,
    kTaskInProgress = 0x07,
    kInvalidPduField = 0x09,
    kWaitingForLogout = 0x0C,
};

/// (RFC 7143 §11.9.1)
enum class AsyncEvent : std::uint8_t {
    kSense = 0,
    kLogoutRequested = 1,
    kConnectionDropped = 2,
    kSessionDropped = 3,
};

} // namespace touka::spec::iscsi
