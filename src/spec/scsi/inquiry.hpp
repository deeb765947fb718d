// Device types, VPD page codes and designators. (SPC-5 §6.7, §7.7)
#pragma once

#include <cstdint>

namespace touka::spec::scsi {

/// (SPC-5 table 147)
enum class PeripheralDeviceType : std::uint8_t {
    kDirectAccessBlock = 0x00,
    kSequentialAccess = 0x01,
    kMediaChanger = 0x08,
    kWellKnownLogicalUnit = 0x1E,
    kUnknown = 0x1F,
};

/// PERIPHERAL QUALIFIER of a LUN where no unit is or can be. (SPC-5 table 146)
inline constexpr std::uint8_t kNoUnitAtThisLun = 0x3;

/// VPD page codes. (SPC-5 table 617, SBC-4 table 268)
enum class VpdPage : std::uint8_t {
    kSupportedPages = 0x00,
    kUnitSerialNumber = 0x80,
    kDeviceIdentification = 0x83,
    kExtendedInquiryData = 0x86,
    kModePagePolicy = 0x87,
    kScsiPorts = 0x88,
    kThirdPartyCopy = 0x8F,
    kBlockLimits = 0xB0, ///< SBC; SSC: sequential-access device capabilities
    kBlockDeviceCharacteristics = 0xB1,
    kLogicalBlockProvisioning = 0xB2,
};

/// DESIGNATOR TYPE. (SPC-5 table 624)
enum class DesignatorType : std::uint8_t {
    kVendorSpecific = 0x0,
    kT10VendorId = 0x1,
    kEui64 = 0x2,
    kNaa = 0x3,
    kRelativeTargetPort = 0x4,
    kTargetPortGroup = 0x5,
    kLogicalUnitGroup = 0x6,
    kScsiNameString = 0x8,
};
/// ASSOCIATION. (SPC-5 table 623)
enum class DesignatorAssociation : std::uint8_t { kLogicalUnit = 0, kTargetPort = 1, kTargetDevice = 2 };
/// CODE SET. (SPC-5 table 622)
enum class CodeSet : std::uint8_t { kBinary = 1, kAscii = 2, kUtf8 = 3 };

/// PROTOCOL IDENTIFIER. (SPC-5 table 491)
enum class ProtocolIdentifier : std::uint8_t { kFibreChannel = 0x0, kIscsi = 0x5, kSas = 0x6, kNone = 0xF };

} // namespace touka::spec::scsi
