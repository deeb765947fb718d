#pragma once

#include <memory>
#include <vector>

#include "iommu/dmar_table.hpp"
#include "iommu/interrupt_delivery.hpp"
#include "iommu/remapping_unit.hpp"
#include "machine/interrupt_system.hpp"
#include "memory/guest_memory.hpp"
#include "platform/address_space.hpp"
#include "platform/platform_layout.hpp"
#include "runtime/timers.hpp"

namespace touka::machine {

/// The machine's remapping unit with what it is wired to: its registers, the way of interrupts, its ACPI table.
/// Interrupts are remapped where the chips are Touka's own; those in the kernel take no remapped ones, so that the
/// guest is not offered it there.
class MachineIommu {
public:
    /// Everything outlives this; before the machine starts.
    /// @param shadowed functions may be there that keep what they may reach: caching mode.
    MachineIommu(memory::GuestMemory& memory, InterruptSystem& interrupts, runtime::Timers& timers,
                 platform::AddressSpace& space, bool shadowed);
    ~MachineIommu();
    MachineIommu(const MachineIommu&) = delete;
    MachineIommu& operator=(const MachineIommu&) = delete;

    [[nodiscard]] iommu::RemappingUnit& unit() { return unit_; }
    /// @param functions_translate some function has Address Translation Services.
    [[nodiscard]] std::vector<std::uint8_t> table(const platform::PlatformLayout& layout,
                                                  bool functions_translate) const;

private:
    platform::AddressSpace& space_;
    iommu::RemappingUnitOptions options_;
    std::unique_ptr<iommu::InterruptDelivery> delivery_;
    iommu::RemappingUnit unit_;
    iommu::RemappedMsi io_apic_messages_;
};

} // namespace touka::machine
