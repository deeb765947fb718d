// The tables of fixed format. Each function gives a complete table with its checksum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "platform/platform_layout.hpp"
#include "spec/acpi/tables.hpp"

namespace touka::platform::acpi {

using TableBytes = std::vector<std::uint8_t>;

/// §5.2.9, revision 6.4: ACPI hardware is always on (no SMI), fixed power button, no sleep button, no VGA.
[[nodiscard]] TableBytes make_fadt(const PlatformLayout& layout, GuestAddress facs, GuestAddress dsdt);
/// §5.2.10.
[[nodiscard]] TableBytes make_facs();
/// §5.2.12: processors, the I/O APIC, ISA IRQ 0 on pin 2, the SCI level-triggered, NMI on LINT1.
[[nodiscard]] TableBytes make_madt(const PlatformLayout& layout);
/// PCI Firmware Specification 3.3 §4.1.2: one segment, bus 0 on.
[[nodiscard]] TableBytes make_mcfg(const PlatformLayout& layout);
/// IA-PC HPET Specification 1.0a §3.2.4.
[[nodiscard]] TableBytes make_hpet(const PlatformLayout& layout);
/// §5.2.8.
[[nodiscard]] TableBytes make_xsdt(std::span<const GuestAddress> tables);
/// §5.2.5.3, revision 2, without an RSDT.
[[nodiscard]] TableBytes make_rsdp(GuestAddress xsdt);

} // namespace touka::platform::acpi
