// The type 0 configuration space header. (PCI Local Bus Specification 3.0 §6.1, §6.2, appendix D)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

/// Bytes of one function's configuration space: conventional, and with PCI Express. (PCIe Base 5.0 §7.2)
inline constexpr std::uint32_t kConventionalConfigBytes = 256, kConfigBytes = 4096;
inline constexpr unsigned kDevicesPerBus = 32, kFunctionsPerDevice = 8, kBarCount = 6;

/// Offsets of the header's registers. (PCI Local Bus 3.0 figure 6-1)
namespace offset {
inline constexpr std::uint32_t kVendorId = 0x00, kDeviceId = 0x02, kCommand = 0x04, kStatus = 0x06, kRevisionId = 0x08,
                               kClassCode = 0x09, kHeaderType = 0x0E, kBar0 = 0x10, kSubsystemVendorId = 0x2C,
                               kSubsystemId = 0x2E, kCapabilitiesPointer = 0x34, kInterruptLine = 0x3C,
                               kInterruptPin = 0x3D, kFirstCapability = 0x40;
} // namespace offset

// PCI Local Bus 3.0 §6.2.2: Command, offset 04h, 16-bit RW.
using Command = Register<std::uint16_t, struct CommandTag>;
namespace command {
inline constexpr Field<CommandTag, 0, 1, bool> IO_SPACE;
inline constexpr Field<CommandTag, 1, 1, bool> MEMORY_SPACE;
inline constexpr Field<CommandTag, 2, 1, bool> BUS_MASTER;
inline constexpr Field<CommandTag, 10, 1, bool> INTERRUPT_DISABLE;
/// What a function here lets be written: the fields above, and parity and SERR# enables, which do nothing.
inline constexpr std::uint16_t kWritable = 0x0547;
} // namespace command
static_assert(Command{0x0406}.get(command::INTERRUPT_DISABLE) && Command{0x0406}.get(command::BUS_MASTER));

// PCI Local Bus 3.0 §6.2.3: Status, offset 06h, 16-bit RO and RW1C.
using Status = Register<std::uint16_t, struct StatusTag>;
namespace status {
inline constexpr Field<StatusTag, 3, 1, bool> INTERRUPT_STATUS;
inline constexpr Field<StatusTag, 4, 1, bool> CAPABILITIES_LIST;
} // namespace status
static_assert(Status{0x0010}.get(status::CAPABILITIES_LIST));

// PCI Local Bus 3.0 §6.2.5.1: the low bits of a Base Address register.
inline constexpr std::uint32_t kBarIoSpace = 0x1, kBarMemory64 = 0x4, kBarPrefetchable = 0x8;
inline constexpr std::uint32_t kBarMemoryMask = ~std::uint32_t{0xF}, kBarIoMask = ~std::uint32_t{0x3};

/// Expansion ROM Base Address, and its enable bit. (PCI Local Bus 3.0 §6.2.5.2)
inline constexpr std::uint32_t kExpansionRomOffset = 0x30, kExpansionRomEnable = 0x1;

/// Header Type bit 7: the device has more functions than 0. (§6.2.1)
inline constexpr std::uint8_t kHeaderMultiFunction = 0x80;

/// Base class, subclass and programming interface as one number. (appendix D)
namespace class_code {
inline constexpr std::uint32_t kScsiStorage = 0x01'00'00, kNvmExpress = 0x01'08'02, kEthernet = 0x02'00'00,
                               kHostBridge = 0x06'00'00, kIsaBridge = 0x06'01'00, kPciBridge = 0x06'04'00,
                               kOtherCommunication = 0x07'80'00, kOther = 0xFF'00'00;
} // namespace class_code

/// Configuration mechanism #1. (§3.2.2.3.2) The ports, and CONFIG_ADDRESS.
inline constexpr std::uint16_t kConfigAddressPort = 0xCF8, kConfigDataPort = 0xCFC;
using ConfigAddress = Register<std::uint32_t, struct ConfigAddressTag>;
namespace config_address {
inline constexpr Field<ConfigAddressTag, 31, 1, bool> ENABLE;
inline constexpr Field<ConfigAddressTag, 16, 8, std::uint8_t> BUS;
inline constexpr Field<ConfigAddressTag, 11, 5, std::uint8_t> DEVICE;
inline constexpr Field<ConfigAddressTag, 8, 3, std::uint8_t> FUNCTION;
inline constexpr Field<ConfigAddressTag, 2, 6, std::uint8_t> REGISTER; // a dword's number
} // namespace config_address
static_assert(ConfigAddress{0x8000'F840}.get(config_address::DEVICE) == 0x1F);

// PCIe Base 5.0 §7.2.2: an address in the enhanced configuration window.
using EcamOffset = Register<std::uint32_t, struct EcamOffsetTag>;
namespace ecam_offset {
inline constexpr Field<EcamOffsetTag, 20, 8, std::uint8_t> BUS;
inline constexpr Field<EcamOffsetTag, 15, 5, std::uint8_t> DEVICE;
inline constexpr Field<EcamOffsetTag, 12, 3, std::uint8_t> FUNCTION;
inline constexpr Field<EcamOffsetTag, 0, 12, std::uint16_t> REGISTER; // a byte's number
} // namespace ecam_offset
inline constexpr std::uint64_t kEcamBytesPerBus = 1 << 20;
static_assert(EcamOffset{0x000F'8040}.get(ecam_offset::DEVICE) == 0x1F);

} // namespace touka::spec::pci
