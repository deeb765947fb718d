// What a machine says about its make. (DMTF DSP0134 "System Management BIOS Reference Specification" 3.5.0 §5.2.2,
// §6.1, §7.1, §7.2, §7.4; little-endian; the text strings of a structure follow it)
#pragma once

#include <array>
#include <cstdint>

namespace touka::spec::boot::smbios {

/// §5.2.2 table 2: the 64-bit entry point, on a 16-byte boundary.
struct [[gnu::packed]] EntryPoint {
    std::array<char, 5> Anchor; // "_SM3_"
    std::uint8_t Checksum;      // all bytes add up to 0
    std::uint8_t Length;
    std::uint8_t MajorVersion;
    std::uint8_t MinorVersion;
    std::uint8_t Docrev;
    std::uint8_t EntryPointRevision;
    std::uint8_t Reserved;
    std::uint32_t StructureTableMaximumSize;
    std::uint64_t StructureTableAddress;
};
static_assert(sizeof(EntryPoint) == 24);

/// §6.1.2 table 5.
struct [[gnu::packed]] StructureHeader {
    std::uint8_t Type;
    std::uint8_t Length; // without the strings
    std::uint16_t Handle;
};
static_assert(sizeof(StructureHeader) == 4);

/// A string is named by its number in the structure's own list; 0: none.
using StringNumber = std::uint8_t;

/// §7.1: BIOS Information (type 0).
struct [[gnu::packed]] BiosInformation {
    StructureHeader Header;
    StringNumber Vendor;
    StringNumber BiosVersion;
    std::uint16_t BiosStartingAddressSegment;
    StringNumber BiosReleaseDate;
    std::uint8_t BiosRomSize;
    std::uint64_t BiosCharacteristics;
    std::array<std::uint8_t, 2> BiosCharacteristicsExtension;
    std::uint8_t SystemBiosMajorRelease, SystemBiosMinorRelease; // FFh: not said
    std::uint8_t EmbeddedControllerMajorRelease, EmbeddedControllerMinorRelease;
    std::uint16_t ExtendedBiosRomSize;
};
static_assert(sizeof(BiosInformation) == 0x1A);
/// §7.1.1 and §7.1.2.2: nothing is said of the firmware's abilities; the table describes a virtual machine.
inline constexpr std::uint64_t kCharacteristicsNotSupported = 1u << 3;
inline constexpr std::uint8_t kVirtualMachine = 1u << 4; // extension byte 2

/// §7.2: System Information (type 1).
struct [[gnu::packed]] SystemInformation {
    StructureHeader Header;
    StringNumber Manufacturer;
    StringNumber ProductName;
    StringNumber Version;
    StringNumber SerialNumber;
    std::array<std::uint8_t, 16> UUID; // §7.2.1: the first three fields little-endian
    std::uint8_t WakeUpType;
    StringNumber SkuNumber;
    StringNumber Family;
};
static_assert(sizeof(SystemInformation) == 0x1B);
inline constexpr std::uint8_t kWakeUpPowerSwitch = 6;

/// §7.4: System Enclosure or Chassis (type 3).
struct [[gnu::packed]] SystemEnclosure {
    StructureHeader Header;
    StringNumber Manufacturer;
    std::uint8_t Type;
    StringNumber Version;
    StringNumber SerialNumber;
    StringNumber AssetTagNumber;
    std::uint8_t BootUpState, PowerSupplyState, ThermalState, SecurityStatus;
    std::uint32_t OemDefined;
    std::uint8_t Height;
    std::uint8_t NumberOfPowerCords;
    std::uint8_t ContainedElementCount, ContainedElementRecordLength;
    StringNumber SkuNumber;
};
static_assert(sizeof(SystemEnclosure) == 0x16);
inline constexpr std::uint8_t kEnclosureOther = 1, kStateSafe = 3, kSecurityNone = 3;

inline constexpr std::uint8_t kTypeBios = 0, kTypeSystem = 1, kTypeEnclosure = 3, kTypeEndOfTable = 127;

} // namespace touka::spec::boot::smbios
