// Operation codes and service actions. (SPC-5 annex F.3, SBC-4 table 36, SSC-5 table 19, SMC-3 table 6)
#pragma once

#include <cstdint>

namespace touka::spec::scsi {

namespace operation {
// All device types. (SPC-5 table 108)
inline constexpr std::uint8_t kTestUnitReady = 0x00, kRequestSense = 0x03, kInquiry = 0x12, kModeSelect6 = 0x15,
                              kReserve6 = 0x16, kRelease6 = 0x17, kModeSense6 = 0x1A, kReceiveDiagnosticResults = 0x1C,
                              kSendDiagnostic = 0x1D, kPreventAllowMediumRemoval = 0x1E, kWriteBuffer = 0x3B,
                              kReadBuffer = 0x3C, kLogSelect = 0x4C, kLogSense = 0x4D, kModeSelect10 = 0x55,
                              kReserve10 = 0x56, kRelease10 = 0x57, kModeSense10 = 0x5A, kPersistentReserveIn = 0x5E,
                              kPersistentReserveOut = 0x5F, kThirdPartyCopyOut = 0x83, kThirdPartyCopyIn = 0x84,
                              kReportLuns = 0xA0, kMaintenanceIn = 0xA3, kMaintenanceOut = 0xA4, kVariableLength = 0x7F;
// Direct access block devices. (SBC-4 table 36)
inline constexpr std::uint8_t kFormatUnit = 0x04, kReassignBlocks = 0x07, kRead6 = 0x08, kWrite6 = 0x0A,
                              kStartStopUnit = 0x1B, kReadCapacity10 = 0x25, kRead10 = 0x28, kWrite10 = 0x2A,
                              kWriteAndVerify10 = 0x2E, kVerify10 = 0x2F, kPreFetch10 = 0x34,
                              kSynchronizeCache10 = 0x35, kReadDefectData10 = 0x37, kWriteSame10 = 0x41, kUnmap = 0x42,
                              kSanitize = 0x48, kRead16 = 0x88, kCompareAndWrite = 0x89, kWrite16 = 0x8A,
                              kOrWrite16 = 0x8B, kWriteAndVerify16 = 0x8E, kVerify16 = 0x8F, kPreFetch16 = 0x90,
                              kSynchronizeCache16 = 0x91, kWriteSame16 = 0x93, kWriteAtomic16 = 0x9C,
                              kServiceActionIn16 = 0x9E, kRead12 = 0xA8, kWrite12 = 0xAA, kWriteAndVerify12 = 0xAE,
                              kVerify12 = 0xAF, kReadDefectData12 = 0xB7;
// Sequential access devices. (SSC-5 table 19)
inline constexpr std::uint8_t kRewind = 0x01, kReadBlockLimits = 0x05, kTapeRead6 = 0x08, kTapeWrite6 = 0x0A,
                              kWriteFilemarks6 = 0x10, kSpace6 = 0x11, kTapeVerify6 = 0x13, kErase6 = 0x19,
                              kLoadUnload = 0x1B, kLocate10 = 0x2B, kReadPosition = 0x34, kReportDensitySupport = 0x44,
                              kLocate16 = 0x92, kSpace16 = 0x91, kErase16 = 0x93, kWriteFilemarks16 = 0x80;
// Media changers. (SMC-3 table 6)
inline constexpr std::uint8_t kInitializeElementStatus = 0x07, kPositionToElement = 0x2B,
                              kInitializeElementStatusWithRange = 0x37, kExchangeMedium = 0xA6, kMoveMedium = 0xA5,
                              kReadElementStatus = 0xB8;
} // namespace operation

namespace service_action {
// MAINTENANCE IN and OUT. (SPC-5 tables 42, 44)
inline constexpr std::uint16_t kReportTargetPortGroups = 0x0A, kReportSupportedOperationCodes = 0x0C,
                               kReportSupportedTaskManagementFunctions = 0x0D, kReportTimestamp = 0x0F,
                               kSetTargetPortGroups = 0x0A;
// SERVICE ACTION IN(16). (SBC-4 table 36)
inline constexpr std::uint16_t kReadCapacity16 = 0x10, kGetLbaStatus = 0x12;
// VARIABLE LENGTH CDB. (SBC-4 table 36)
inline constexpr std::uint16_t kRead32 = 0x0009, kVerify32 = 0x000A, kWrite32 = 0x000B, kWriteAndVerify32 = 0x000C,
                               kWriteSame32 = 0x000D, kOrWrite32 = 0x000E;
} // namespace service_action

/// The length of a CDB by its operation code's group; 0 where the group says nothing. (SPC-5 §4.2.5.1)
[[nodiscard]] constexpr std::uint8_t cdb_length_of_group(std::uint8_t operation_code) {
    switch (operation_code >> 5) {
        case 0: return 6;
        case 1:
        case 2: return 10;
        case 4: return 16;
        case 5: return 12;
        default: return 0;
    }
}
static_assert(cdb_length_of_group(operation::kRead16) == 16);

/// Operation codes whose CDB has a service action in the low five bits of byte 1. (SPC-5 §4.2.5.2)
[[nodiscard]] constexpr bool has_service_action(std::uint8_t operation_code) {
    using namespace operation;
    switch (operation_code) {
        case kMaintenanceIn:
        case kMaintenanceOut:
        case kPersistentReserveIn:
        case kPersistentReserveOut:
        case kThirdPartyCopyIn:
        case kThirdPartyCopyOut:
        case kServiceActionIn16:
        case kSanitize:
        case kVariableLength: return true;
        default: return false;
    }
}

} // namespace touka::spec::scsi
