// Where the machine's parts answer: what the machine decides once, and what the tables for the guest repeat.
#pragma once

#include <cstdint>
#include <vector>

#include "platform/pci/pci_layout.hpp"
#include "spec/address.hpp"

namespace touka::platform {

using spec::GuestAddress;

/// A piece of the physical address space; empty when length_bytes is 0.
struct AddressWindow {
    GuestAddress start;
    std::uint64_t length_bytes = 0;
    [[nodiscard]] constexpr bool empty() const { return length_bytes == 0; }
    [[nodiscard]] constexpr GuestAddress last() const { return start + (length_bytes - 1); }
    constexpr bool operator==(const AddressWindow&) const = default;
};

/// A 16550 at ISA addresses: COM1 is {0x3F8, 4}.
struct SerialPortPlace {
    std::uint16_t port = 0;
    std::uint8_t irq = 0;
};

/// The Q35-like places of everything that ACPI and the memory map must name. The defaults are the machine's;
/// it fills in what depends on the configuration (processors, windows above RAM).
struct PlatformLayout {
    /// ECAM: 1 MiB for each PCI bus, from bus 0. (PCI Express Base 5.0 §7.2.2)
    AddressWindow ecam{GuestAddress{kEcamWindow.first}, kEcamWindow.length_bytes};
    AddressWindow pci_window_32{GuestAddress{kPciMemory32.first}, kPciMemory32.length_bytes};
    AddressWindow pci_window_64{}; ///< above RAM: what pci_memory64_window() says; empty: none
    GuestAddress local_apic{0xFEE0'0000};
    GuestAddress io_apic{0xFEC0'0000};
    GuestAddress hpet{0xFED0'0000};
    std::uint8_t io_apic_id = 0;
    /// Low half of the HPET's General Capabilities and ID: three 64-bit comparators, legacy routing, vendor 8086h.
    std::uint32_t hpet_block_id = 0x8086'A201;
    std::uint16_t hpet_minimum_tick = 128; ///< in periods of the main counter
    std::uint16_t pm_base = kPmBase;       ///< PM1a events +0, PM1a control +4, PM timer +8, GPE0 +20h
    std::uint8_t sci_irq = 9;
    std::uint8_t s5_sleep_type = 7; ///< SLP_TYP of soft off (ICH9 §13.8.3.2)
    std::uint16_t reset_port = 0xCF9;
    std::uint8_t reset_value = 0x06;
    std::vector<SerialPortPlace> serial_ports{{0x3F8, 4}};
    /// APIC ids of the processors, the BSP first; the index is the ACPI processor UID.
    std::vector<std::uint32_t> apic_ids{0};

    [[nodiscard]] std::uint32_t pci_bus_count() const { return static_cast<std::uint32_t>(ecam.length_bytes >> 20); }
};

} // namespace touka::platform
