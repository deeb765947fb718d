// The two functions of the chipset that stock systems look for. (Intel 3 Series Express Chipset Family Datasheet,
// 316966-002, §5.1; Intel I/O Controller Hub 9 Family Datasheet, 316972-004, §13.1)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pci {

inline constexpr std::uint16_t kVendorIntel = 0x8086;
/// DRAM controller of the Q35 (316966 §5.1.2), LPC interface of the ICH9 (316972 §13.1.2).
inline constexpr std::uint16_t kQ35HostBridge = 0x29C0, kIch9Lpc = 0x2918;
/// PCI Express port 1 of the ICH9 (316972 §20.1.2).
inline constexpr std::uint16_t kIch9RootPort = 0x2940;

// 316966 §5.1.15: PCIEXBAR, offset 60h, 64-bit RW.
inline constexpr std::uint32_t kPciexbarOffset = 0x60;
using Pciexbar = Register<std::uint64_t, struct PciexbarTag>;
namespace pciexbar {
inline constexpr Field<PciexbarTag, 0, 1, bool> PCIEXBAREN;
inline constexpr Field<PciexbarTag, 1, 2, std::uint8_t> LENGTH; // 0: 256 buses, 1: 128, 2: 64
inline constexpr std::uint64_t kBaseMask = 0x0000'000F'FC00'0000;
inline constexpr std::uint64_t kWritable = kBaseMask | 0x7;
} // namespace pciexbar
static_assert(Pciexbar{0xB000'0005}.get(pciexbar::LENGTH) == 2);

/// 316972 §13.1.13, §13.1.14: PMBASE, 128 bytes of I/O space (bit 0: it is I/O), and ACPI_CNTL with ACPI_EN.
inline constexpr std::uint32_t kPmbaseOffset = 0x40, kAcpiControlOffset = 0x44;
inline constexpr std::uint32_t kPmbaseIoSpace = 0x1;
inline constexpr std::uint8_t kAcpiEnable = 0x80;
/// 316972 §13.1.17, §13.1.19: PIRQ[A-D]_ROUT and PIRQ[E-H]_ROUT; bit 7: not routed to the 8259.
inline constexpr std::uint32_t kPirqAToDOffset = 0x60, kPirqEToHOffset = 0x68;
inline constexpr std::uint8_t kPirqNotRouted = 0x80, kPirqWritable = 0x8F;

} // namespace touka::spec::pci
