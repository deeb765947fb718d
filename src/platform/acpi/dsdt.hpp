#pragma once

#include "platform/acpi/static_tables.hpp"

namespace touka::platform::acpi {

/// The Differentiated System Description Table: processors, the PCI Express root with its windows and interrupts, and
/// what is not PCI: COM ports, RTC, HPET, power management ports. (ACPI Specification 6.4 §5.2.11.1)
/// Absent: PS/2 devices, PCI interrupt link devices (interrupts go to the I/O APIC only), sleep states but S5, thermal
/// and power resources.
[[nodiscard]] TableBytes make_dsdt(const PlatformLayout& layout);

} // namespace touka::platform::acpi
