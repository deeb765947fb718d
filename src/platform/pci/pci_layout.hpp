// Where the PCI Express root lies in the guest's address spaces: the numbers that MCFG, _CRS, _PRT and e820 repeat.
#pragma once

#include <algorithm>
#include <cstdint>

#include "spec/address.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::platform {

/// A range of bus addresses: memory or ports.
struct PciWindow {
    std::uint64_t first = 0;
    std::uint64_t length_bytes = 0;
    [[nodiscard]] constexpr std::uint64_t last() const { return first + (length_bytes - 1); }
};

/// Configuration window: 64 buses are the smallest that the Q35's PCIEXBAR can say.
inline constexpr std::uint64_t kEcamBase = 0xB000'0000;
inline constexpr unsigned kEcamBusCount = 64;
inline constexpr PciWindow kEcamWindow{kEcamBase, kEcamBusCount* spec::pci::kEcamBytesPerBus};

/// What functions' BARs are assigned from: below the I/O APIC, and ports that no ISA device has.
inline constexpr PciWindow kPciMemory32{0xC000'0000, 0xFEC0'0000 - 0xC000'0000};
inline constexpr PciWindow kPciPorts{0xC000, 0x4000};

/// The window for prefetchable and large 64-bit BARs, above all RAM.
/// @param ram_top GuestMemory::top().
constexpr PciWindow pci_memory64_window(spec::GuestAddress ram_top) {
    constexpr std::uint64_t kAlignment = 0x1'0000'0000, kLength = 0x4'0000'0000;
    const std::uint64_t above = std::max(ram_top.value, kAlignment);
    return {(above + kAlignment - 1) / kAlignment * kAlignment, kLength};
}

/// Interrupt pins go to the I/O APIC's inputs 16 to 23, spread by device number.
inline constexpr unsigned kFirstPciGsi = 16, kPciGsiCount = 8;
/// @param pin 1 = INTA# ... 4 = INTD#.
constexpr unsigned pci_pin_gsi(unsigned device, unsigned pin) {
    return kFirstPciGsi + (device + pin - 1) % kPciGsiCount;
}
static_assert(pci_pin_gsi(0, 1) == 16 && pci_pin_gsi(0x1F, 2) == 16);

/// The ACPI power management ports as the ISA bridge's PMBASE says.
inline constexpr std::uint16_t kPmBase = 0x600;

} // namespace touka::platform
