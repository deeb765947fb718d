// Capabilities in the configuration space. (PCI Local Bus 3.0 §6.7, §6.8.2, appendix H; PCI Bus Power Management
// Interface 1.2 §3.2; PCI Express Base 5.0 §7.5.3)
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

/// PCI Express capability structure. (PCIe Base 5.0 figure 7-25: offsets)
inline constexpr std::uint32_t kExpressBytes = 0x3C, kExpressCapabilitiesOffset = 0x02,
                               kDeviceCapabilitiesOffset = 0x04, kDeviceControlOffset = 0x08;
// §7.5.3.2: PCI Express Capabilities.
using ExpressCapabilities = Register<std::uint16_t, struct ExpressCapabilitiesTag>;
namespace express_capabilities {
inline constexpr Field<ExpressCapabilitiesTag, 0, 4, std::uint8_t> VERSION; // 2 since PCIe 2.0
inline constexpr Field<ExpressCapabilitiesTag, 4, 4, std::uint8_t> DEVICE_PORT_TYPE;
inline constexpr std::uint8_t kRootComplexIntegratedEndpoint = 9;
} // namespace express_capabilities
static_assert(ExpressCapabilities{0x0092}.get(express_capabilities::DEVICE_PORT_TYPE) == 9);
// §7.5.3.3: Device Capabilities: role-based error reporting, function level reset. §7.5.3.4: Device Control.
inline constexpr std::uint32_t kRoleBasedErrorReporting = 1u << 15, kFunctionLevelResetCapable = 1u << 28;
inline constexpr std::uint16_t kInitiateFunctionLevelReset = 1u << 15, kDeviceControlWritable = 0x7FFF;

} // namespace touka::spec::pci
