// Device 00:1f.0, as the ICH9's LPC interface looks: systems read from it where the ACPI ports are.
// Absent: GPIO, RCBA and generic decode ranges, PIRQ routing to the 8259 (the registers are there, the wires go to the
// I/O APIC alone), SMI. PMBASE is fixed at kPmBase, where firmware puts it, too.
#pragma once

#include "platform/pci/pci_function.hpp"

namespace touka::platform {

class IsaBridge final : public PciFunction {
public:
    IsaBridge();
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;
};

} // namespace touka::platform
