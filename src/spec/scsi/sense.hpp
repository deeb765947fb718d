// Sense keys and additional sense codes. (SPC-5 §4.4)
#pragma once

#include <cstdint>

namespace touka::spec::scsi {

/// (SPC-5 table 49)
enum class SenseKey : std::uint8_t {
    kNoSense = 0x0,
    kRecoveredError = 0x1,
    kNotReady = 0x2,
    kMediumError = 0x3,
    kHardwareError = 0x4,
    kIllegalRequest = 0x5,
    kUnitAttention = 0x6,
    kDataProtect = 0x7,
    kBlankCheck = 0x8,
    kVendorSpecific = 0x9,
    kCopyAborted = 0xA,
    kAbortedCommand = 0xB,
    kVolumeOverflow = 0xD,
    kMiscompare = 0xE,
    kCompleted = 0xF,
};

/// ASC in the high byte, ASCQ in the low one, under the names of SPC-5 annex F.2 table F.1.
enum class SenseCode : std::uint16_t {
    kNoAdditionalSense = 0x0000,
    kFilemarkDetected = 0x0001,
    kEndOfPartitionOrMediumDetected = 0x0002,
    kBeginningOfPartitionOrMediumDetected = 0x0004,
    kEndOfDataDetected = 0x0005,
    kOperationInProgress = 0x0016,
    kEraseOperationInProgress = 0x0018,
    kLogicalUnitBecomingReady = 0x0401,
    kInitializingCommandRequired = 0x0402,
    kManualInterventionRequired = 0x0403,
    kFormatInProgress = 0x0404,
    kTargetPortInStandbyState = 0x040B,
    kTargetPortInUnavailableState = 0x040C,
    kAsymmetricAccessStateTransition = 0x040A,
    kSanitizeInProgress = 0x041B,
    kLogicalUnitCommunicationFailure = 0x0800,
    kWriteError = 0x0C00,
    kWriteErrorUnexpectedUnsolicitedData = 0x0C0C,
    kWriteErrorNotEnoughUnsolicitedData = 0x0C0D,
    kErrorLogOverflow = 0x0A00,
    kThirdPartyDeviceFailure = 0x0D01,
    kCopyTargetDeviceNotReachable = 0x0D02,
    kIncorrectCopyTargetDeviceType = 0x0D03,
    kLogicalBlockGuardCheckFailed = 0x1001,
    kLogicalBlockApplicationTagCheckFailed = 0x1002,
    kLogicalBlockReferenceTagCheckFailed = 0x1003,
    kUnrecoveredReadError = 0x1100,
    kRecordedEntityNotFound = 0x1400,
    kParameterListLengthError = 0x1A00,
    kMiscompareDuringVerifyOperation = 0x1D00,
    kInvalidCommandOperationCode = 0x2000,
    kLogicalBlockAddressOutOfRange = 0x2100,
    kInvalidElementAddress = 0x2101,
    kInvalidFieldInCdb = 0x2400,
    kLogicalUnitNotSupported = 0x2500,
    kInvalidFieldInParameterList = 0x2600,
    kParameterNotSupported = 0x2601,
    kParameterValueInvalid = 0x2602,
    kInvalidReleaseOfPersistentReservation = 0x2604,
    kTooManyTargetDescriptors = 0x2606,
    kUnsupportedTargetDescriptorTypeCode = 0x2607,
    kTooManySegmentDescriptors = 0x2608,
    kUnsupportedSegmentDescriptorTypeCode = 0x2609,
    kUnexpectedInexactSegment = 0x260A,
    kInlineDataLengthExceeded = 0x260B,
    kInvalidOperationForCopySourceOrDestination = 0x260C,
    kCopySegmentGranularityViolation = 0x260D,
    kWriteProtected = 0x2700,
    kHardwareWriteProtected = 0x2701,
    kLogicalUnitSoftwareWriteProtected = 0x2702,
    kSpaceAllocationFailedWriteProtect = 0x2707,
    kNotReadyToReadyChange = 0x2800, ///< medium may have changed
    kImportOrExportElementAccessed = 0x2801,
    kPowerOnResetOrBusDeviceReset = 0x2900,
    kPowerOnOccurred = 0x2901,
    kScsiBusReset = 0x2902,
    kBusDeviceResetFunctionOccurred = 0x2903,
    kNexusLossOccurred = 0x2907,
    kModeParametersChanged = 0x2A01,
    kLogParametersChanged = 0x2A02,
    kReservationsPreempted = 0x2A03,
    kReservationsReleased = 0x2A04,
    kRegistrationsPreempted = 0x2A05,
    kAsymmetricAccessStateChanged = 0x2A06,
    kCapacityDataHasChanged = 0x2A09,
    kErrorHistoryChanged = 0x2A0B,
    kCommandSequenceError = 0x2C00,
    kPreviousReservationConflictStatus = 0x2C09,
    kCommandsClearedByAnotherInitiator = 0x2F00,
    kCommandsClearedByDeviceServer = 0x2F02,
    kIncompatibleMediumInstalled = 0x3000,
    kMediumFormatCorrupted = 0x3100,
    kFormatCommandFailed = 0x3101,
    kSanitizeCommandFailed = 0x3103,
    kSavingParametersNotSupported = 0x3900,
    kMediumNotPresent = 0x3A00,
    kSequentialPositioningError = 0x3B00,
    kMediumDestinationElementFull = 0x3B0D,
    kMediumSourceElementEmpty = 0x3B0E,
    kMediumMagazineNotAccessible = 0x3B11,
    kTargetOperatingConditionsHaveChanged = 0x3F00,
    kLogicalUnitFailure = 0x3E01,
    kMicrocodeHasBeenChanged = 0x3F01,
    kInquiryDataHasChanged = 0x3F03,
    kReportedLunsDataHasChanged = 0x3F0E,
    kInternalTargetFailure = 0x4400,
    kProtocolServiceCrcError = 0x4705,
    kInvalidTargetPortTransferTagReceived = 0x4B01,
    kTooMuchWriteData = 0x4B02,
    kOverlappedCommandsAttempted = 0x4E00,
    kMediaLoadOrEjectFailed = 0x5300,
    kMediumRemovalPrevented = 0x5302,
    kInsufficientReservationResources = 0x5502,
    kInsufficientRegistrationResources = 0x5504,
    kEndOfUserAreaEncountered = 0x6300,
};

[[nodiscard]] constexpr std::uint8_t asc(SenseCode code) {
    return static_cast<std::uint8_t>(static_cast<std::uint16_t>(code) >> 8);
}
[[nodiscard]] constexpr std::uint8_t ascq(SenseCode code) { return static_cast<std::uint8_t>(code); }
static_assert(asc(SenseCode::kReservationsPreempted) == 0x2A && ascq(SenseCode::kReservationsPreempted) == 0x03);

/// Response codes of sense data. (SPC-5 table 28)
inline constexpr std::uint8_t kFixedSense = 0x70, kDescriptorSense = 0x72;
inline constexpr std::size_t kFixedSenseBytes = 18;
/// The longest sense data: ADDITIONAL SENSE LENGTH is at most 244. (SPC-5 §4.4.2)
inline constexpr std::size_t kSenseLimitBytes = 252;

} // namespace touka::spec::scsi
