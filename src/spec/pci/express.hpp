// The PCI Express capability: links, slots, root ports. (PCI Express Base Specification 5.0 §7.5.3)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

/// Offsets in the capability. (figure 7-25)
inline constexpr std::uint32_t kExpressBytes = 0x3C, kExpressCapabilitiesOffset = 0x02,
                               kDeviceCapabilitiesOffset = 0x04, kDeviceControlOffset = 0x08,
                               kLinkCapabilitiesOffset = 0x0C, kLinkControlOffset = 0x10, kLinkStatusOffset = 0x12,
                               kSlotCapabilitiesOffset = 0x14, kSlotControlOffset = 0x18, kSlotStatusOffset = 0x1A,
                               kRootControlOffset = 0x1C, kRootStatusOffset = 0x20, kDeviceCapabilities2Offset = 0x24,
                               kDeviceControl2Offset = 0x28, kLinkCapabilities2Offset = 0x2C,
                               kLinkControl2Offset = 0x30;

// §7.5.3.2: PCI Express Capabilities.
using ExpressCapabilities = Register<std::uint16_t, struct ExpressCapabilitiesTag>;
namespace express_capabilities {
inline constexpr Field<ExpressCapabilitiesTag, 0, 4, std::uint8_t> VERSION; // 2 since PCIe 2.0
inline constexpr Field<ExpressCapabilitiesTag, 4, 4, std::uint8_t> DEVICE_PORT_TYPE;
inline constexpr Field<ExpressCapabilitiesTag, 8, 1, bool> SLOT_IMPLEMENTED;
inline constexpr std::uint8_t kEndpoint = 0, kRootPort = 4, kRootComplexIntegratedEndpoint = 9;
} // namespace express_capabilities
static_assert(ExpressCapabilities{0x0092}.get(express_capabilities::DEVICE_PORT_TYPE) == 9);

// §7.5.3.3: Device Capabilities: role-based error reporting, function level reset. §7.5.3.4: Device Control.
inline constexpr std::uint32_t kRoleBasedErrorReporting = 1u << 15, kFunctionLevelResetCapable = 1u << 28;
/// After reset: relaxed ordering, no snoop, reads of 512 bytes.
inline constexpr std::uint16_t kDeviceControlReset = 0x2810;
inline constexpr std::uint16_t kInitiateFunctionLevelReset = 1u << 15, kDeviceControlWritable = 0x7FFF;

// §7.5.3.6: Link Capabilities.
using LinkCapabilities = Register<std::uint32_t, struct LinkCapabilitiesTag>;
namespace link_capabilities {
inline constexpr Field<LinkCapabilitiesTag, 0, 4, std::uint8_t> MAX_LINK_SPEED; // a bit's number in Link Capabilities 2
inline constexpr Field<LinkCapabilitiesTag, 4, 6, std::uint8_t> MAXIMUM_LINK_WIDTH;
inline constexpr Field<LinkCapabilitiesTag, 20, 1, bool> DATA_LINK_LAYER_LINK_ACTIVE_REPORTING_CAPABLE;
inline constexpr Field<LinkCapabilitiesTag, 24, 8, std::uint8_t> PORT_NUMBER;
} // namespace link_capabilities
inline constexpr std::uint16_t kLinkControlWritable = 0x01FB;

// §7.5.3.8: Link Status.
using LinkStatus = Register<std::uint16_t, struct LinkStatusTag>;
namespace link_status {
inline constexpr Field<LinkStatusTag, 0, 4, std::uint8_t> CURRENT_LINK_SPEED;
inline constexpr Field<LinkStatusTag, 4, 6, std::uint8_t> NEGOTIATED_LINK_WIDTH;
inline constexpr Field<LinkStatusTag, 13, 1, bool> DATA_LINK_LAYER_LINK_ACTIVE;
} // namespace link_status

/// 16 GT/s, four lanes; Link Capabilities 2 lists the speeds 2.5, 5, 8 and 16 GT/s. (§7.5.3.18)
inline constexpr std::uint8_t kLinkSpeed16Gt = 4, kLinkWidth4 = 4;
inline constexpr std::uint32_t kSupportedLinkSpeeds = 0x1E;

// §7.5.3.9: Slot Capabilities.
using SlotCapabilities = Register<std::uint32_t, struct SlotCapabilitiesTag>;
namespace slot_capabilities {
inline constexpr Field<SlotCapabilitiesTag, 0, 1, bool> ATTENTION_BUTTON_PRESENT;
inline constexpr Field<SlotCapabilitiesTag, 1, 1, bool> POWER_CONTROLLER_PRESENT;
inline constexpr Field<SlotCapabilitiesTag, 3, 1, bool> ATTENTION_INDICATOR_PRESENT;
inline constexpr Field<SlotCapabilitiesTag, 4, 1, bool> POWER_INDICATOR_PRESENT;
inline constexpr Field<SlotCapabilitiesTag, 5, 1, bool> HOT_PLUG_SURPRISE;
inline constexpr Field<SlotCapabilitiesTag, 6, 1, bool> HOT_PLUG_CAPABLE;
inline constexpr Field<SlotCapabilitiesTag, 18, 1, bool> NO_COMMAND_COMPLETED_SUPPORT;
inline constexpr Field<SlotCapabilitiesTag, 19, 13, std::uint16_t> PHYSICAL_SLOT_NUMBER;
} // namespace slot_capabilities

// §7.5.3.10: Slot Control.
using SlotControl = Register<std::uint16_t, struct SlotControlTag>;
namespace slot_control {
inline constexpr Field<SlotControlTag, 0, 1, bool> ATTENTION_BUTTON_PRESSED_ENABLE;
inline constexpr Field<SlotControlTag, 3, 1, bool> PRESENCE_DETECT_CHANGED_ENABLE;
inline constexpr Field<SlotControlTag, 5, 1, bool> HOT_PLUG_INTERRUPT_ENABLE;
inline constexpr Field<SlotControlTag, 6, 2, std::uint8_t> ATTENTION_INDICATOR_CONTROL;
inline constexpr Field<SlotControlTag, 8, 2, std::uint8_t> POWER_INDICATOR_CONTROL;
inline constexpr Field<SlotControlTag, 10, 1, bool> POWER_CONTROLLER_CONTROL; // 1: the slot is off
inline constexpr Field<SlotControlTag, 12, 1, bool> DATA_LINK_LAYER_STATE_CHANGED_ENABLE;
inline constexpr std::uint8_t kIndicatorOn = 1, kIndicatorBlink = 2, kIndicatorOff = 3;
inline constexpr std::uint16_t kWritable = 0x17FF;
} // namespace slot_control

// §7.5.3.11: Slot Status; the events are cleared by writing 1.
using SlotStatus = Register<std::uint16_t, struct SlotStatusTag>;
namespace slot_status {
inline constexpr Field<SlotStatusTag, 0, 1, bool> ATTENTION_BUTTON_PRESSED;
inline constexpr Field<SlotStatusTag, 3, 1, bool> PRESENCE_DETECT_CHANGED;
inline constexpr Field<SlotStatusTag, 6, 1, bool> PRESENCE_DETECT_STATE;
inline constexpr Field<SlotStatusTag, 8, 1, bool> DATA_LINK_LAYER_STATE_CHANGED;
inline constexpr std::uint16_t kEvents = 0x011F;
} // namespace slot_status

/// §7.5.3.12, §7.5.3.14: Root Control; Root Status: PME status is cleared by writing 1.
inline constexpr std::uint16_t kRootControlWritable = 0x001F;
inline constexpr std::uint32_t kRootStatusPme = 1u << 16;

/// §7.5.3.15, §7.5.3.16: in Device Capabilities 2 and Device Control 2 of a port.
inline constexpr std::uint32_t kAriForwarding = 1u << 5;

} // namespace touka::spec::pci
