// Capabilities in the configuration space. (PCI Local Bus 3.0 §6.7, §6.8.2, appendix H; PCI Bus Power Management
// Interface 1.2 §3.2)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

enum class CapabilityId : std::uint8_t {
    kPowerManagement = 0x01,
    kVendorSpecific = 0x09,
    kPciExpress = 0x10,
    kMsix = 0x11,
};

// PCI Local Bus 3.0 §6.8.2.3: MSI-X Message Control, at +2 of the capability.
using MsixControl = Register<std::uint16_t, struct MsixControlTag>;
namespace msix_control {
inline constexpr Field<MsixControlTag, 0, 11, std::uint16_t> TABLE_SIZE; // N - 1
inline constexpr Field<MsixControlTag, 14, 1, bool> FUNCTION_MASK;
inline constexpr Field<MsixControlTag, 15, 1, bool> MSIX_ENABLE;
inline constexpr std::uint16_t kWritable = 0xC000;
} // namespace msix_control
static_assert(MsixControl{0xC003}.get(msix_control::TABLE_SIZE) == 3);

/// Offsets in the MSI-X capability (§6.8.2) and in a table entry (§6.8.2.6 to §6.8.2.9).
inline constexpr std::uint32_t kMsixCapabilityBytes = 12, kMsixControlOffset = 2, kMsixTableOffset = 4,
                               kMsixPbaOffset = 8;
inline constexpr std::uint32_t kMsixEntryBytes = 16, kMsixEntryAddressLow = 0, kMsixEntryAddressHigh = 4,
                               kMsixEntryData = 8, kMsixEntryControl = 12, kMsixEntryMasked = 1;
inline constexpr unsigned kMsixVectorLimit = 2048;

/// Power management: at +2 PMC, at +4 PMCSR. (PCI PM 1.2 §3.2.3, §3.2.4)
inline constexpr std::uint32_t kPowerManagementBytes = 8, kPmcOffset = 2, kPmcsrOffset = 4;
inline constexpr std::uint16_t kPmcVersion3 = 0x0003, kPmcsrNoSoftReset = 0x0008, kPmcsrPowerState = 0x0003;

} // namespace touka::spec::pci
