// The type 1 configuration space header, of bridges. (PCI-to-PCI Bridge Architecture Specification 1.2 §3.2; PCI
// Express Base 5.0 §7.5.1.3)
#pragma once

#include <cstdint>

namespace touka::spec::pci::bridge {

inline constexpr std::uint8_t kHeaderType = 1;
inline constexpr std::uint32_t kPrimaryBus = 0x18, kSecondaryBus = 0x19, kSubordinateBus = 0x1A, kIoWindow = 0x1C,
                               kSecondaryStatus = 0x1E, kMemoryBase = 0x20, kMemoryLimit = 0x22,
                               kPrefetchableBase = 0x24, kPrefetchableLimit = 0x26, kPrefetchableBaseUpper = 0x28,
                               kPrefetchableLimitUpper = 0x2C, kIoUpper = 0x30, kCapabilitiesPointer = 0x34,
                               kExpansionRom = 0x38, kControl = 0x3E;

/// Memory windows: bits 15:4 are address bits 31:20. Bit 0 of the prefetchable ones: 64-bit addresses. (§7.5.1.3.8, .9)
inline constexpr std::uint16_t kWindowAddressMask = 0xFFF0, kPrefetchable64 = 0x0001;
inline constexpr std::uint64_t kWindowGranularity = 1 << 20;

/// Bridge Control: parity, SERR#, secondary bus reset. (§7.5.1.3.13)
inline constexpr std::uint16_t kControlWritable = 0x0043, kSecondaryBusReset = 1u << 6;

} // namespace touka::spec::pci::bridge
