// Status of commands. (NVM Express Base 2.0 §3.3.3.2.1; NVM Command Set 1.0 §3.1.2)
#pragma once

#include <cstdint>

namespace touka::spec::nvme {

/// Status code type in bits 10:8, status code in bits 7:0. (figures 92 to 97)
enum class Status : std::uint16_t {
    kSuccess = 0x000,
    kInvalidOpcode = 0x001,
    kInvalidField = 0x002,
    kCommandIdConflict = 0x003,
    kDataTransferError = 0x004,
    kInternalError = 0x006,
    kAbortRequested = 0x007,
    kAbortedSqDeletion = 0x008,
    kAbortedFailedFused = 0x009,
    kAbortedMissingFused = 0x00A,
    kInvalidNamespaceOrFormat = 0x00B,
    kCommandSequenceError = 0x00C,
    kInvalidSglSegment = 0x00D,
    kInvalidSglCount = 0x00E,
    kDataSglLengthInvalid = 0x00F,
    kSglTypeInvalid = 0x011,
    kPrpOffsetInvalid = 0x013,
    kOperationDenied = 0x015,
    kHostIdInconsistentFormat = 0x018,
    kAbortedPreempt = 0x01B,
    kNamespaceWriteProtected = 0x020,
    kLbaOutOfRange = 0x080,
    kCapacityExceeded = 0x081,
    kNamespaceNotReady = 0x082,
    kReservationConflict = 0x083,
    kFormatInProgress = 0x084,

    kCompletionQueueInvalid = 0x100,
    kInvalidQueueId = 0x101,
    kInvalidQueueSize = 0x102,
    kAbortLimitExceeded = 0x103,
    kAsyncEventLimitExceeded = 0x105,
    kInvalidInterruptVector = 0x108,
    kInvalidLogPage = 0x109,
    kInvalidFormat = 0x10A,
    kInvalidQueueDeletion = 0x10C,
    kFeatureNotSaveable = 0x10D,
    kFeatureNotChangeable = 0x10E,
    kFeatureNotNamespaceSpecific = 0x10F,
    kNamespaceInsufficientCapacity = 0x115,
    kNamespaceAlreadyAttached = 0x118,
    kNamespaceIsPrivate = 0x119,
    kNamespaceNotAttached = 0x11A,
    kControllerListInvalid = 0x11C,
    kInvalidControllerId = 0x11F,
    kInvalidSecondaryState = 0x120,
    kInvalidResourceCount = 0x121,
    kInvalidResourceId = 0x122,
    kConflictingAttributes = 0x180,
    kInvalidProtectionInformation = 0x181,
    kWriteToReadOnlyRange = 0x182,
    kCommandSizeLimitExceeded = 0x183,

    kWriteFault = 0x280,
    kUnrecoveredReadError = 0x281,
    kGuardCheckError = 0x282,
    kApplicationTagCheckError = 0x283,
    kReferenceTagCheckError = 0x284,
    kCompareFailure = 0x285,
};

/// Beside the code in a completion's status field: there is more in the error log; the same command will fail again.
inline constexpr std::uint16_t kStatusMore = 1u << 13, kStatusDoNotRetry = 1u << 14;
static_assert((static_cast<std::uint16_t>(Status::kCompareFailure) >> 8) == 2);

} // namespace touka::spec::nvme
