// What sequential-access devices have on the wire beside operation codes. (SSC-5)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::scsi {

/// CODE of SPACE. (SSC-5 §6.10, "SPACE(6) command")
namespace space_code {
inline constexpr std::uint8_t kBlocks = 0x0, kFilemarks = 0x1, kSequentialFilemarks = 0x2, kEndOfData = 0x3;
}

/// DEST_TYPE of LOCATE(16). (SSC-5, "LOCATE(16) command")
namespace locate_type {
inline constexpr std::uint8_t kObject = 0x0, kFile = 0x1, kEndOfData = 0x3;
}

/// Service actions of READ POSITION. (SSC-5, "READ POSITION command")
namespace position_form {
inline constexpr std::uint8_t kShort = 0x00, kShortVendorSpecific = 0x01, kLong = 0x06, kExtended = 0x08;
}
inline constexpr std::size_t kShortPositionBytes = 20, kLongPositionBytes = 32;
/// Byte 0 of the parameter data. (SSC-5, tables of the short and long form)
namespace position {
inline constexpr std::uint8_t BOP = 0x80, EOP = 0x40, LOCU = 0x20, BYCU = 0x10, MPU = 0x08, LOLU = 0x04, PERR = 0x02,
                              BPEW = 0x01;
}

/// Byte 4 of LOAD UNLOAD. (SSC-5, "LOAD UNLOAD command")
namespace load_unload {
inline constexpr std::uint8_t LOAD = 0x01, RETEN = 0x02, EOT = 0x04, HOLD = 0x08;
}

/// Mode pages. (SSC-5 §8.3, "Mode parameters")
namespace tape_page {
inline constexpr std::uint8_t kReadWriteErrorRecovery = 0x01, kDataCompression = 0x0F, kDeviceConfiguration = 0x10,
                              kMediumPartition = 0x11;
}
/// BUFFERED MODE of the device-specific parameter, bits 6 to 4; WP is bit 7. (SSC-5, "Device-specific parameter")
inline constexpr std::uint8_t kTapeWriteProtected = 0x80;
/// A density code that changes nothing, in MODE SELECT. (SSC-5, "Density code")
inline constexpr std::uint8_t kNoDensityChange = 0x7F;

/// Log pages. (SSC-5 §8.2, "Log parameters")
namespace tape_log {
inline constexpr std::uint8_t kSequentialAccessDevice = 0x0C, kTapeAlert = 0x2E;
}
/// Parameters of the sequential-access device log page. (SSC-5, "Sequential-Access Device log page")
namespace tape_log_parameter {
inline constexpr std::uint16_t kDataBytesReceived = 0x0000, kDataBytesWritten = 0x0001, kDataBytesRead = 0x0002,
                               kDataBytesReturned = 0x0003, kCleaningRequired = 0x0100;
}
/// TapeAlert flags. (SSC-5, "TapeAlert log page")
inline constexpr std::uint16_t kTapeAlertFlags = 64;
namespace tape_alert {
inline constexpr std::uint16_t kReadFailure = 0x05, kWriteFailure = 0x06, kNotDataGrade = 0x08, kWriteProtect = 0x09,
                               kLoadFailure = 0x2B;
}

/// A density support data block descriptor. (SSC-5, "REPORT DENSITY SUPPORT parameter data")
inline constexpr std::size_t kDensityDescriptorBytes = 52;
inline constexpr std::size_t kMediumTypeDescriptorBytes = 56;

/// What READ BLOCK LIMITS returns. (SSC-5, "READ BLOCK LIMITS command")
inline constexpr std::size_t kBlockLimitsBytes = 6;

} // namespace touka::spec::scsi
