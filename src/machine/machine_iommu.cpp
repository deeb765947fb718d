#include "machine/machine_iommu.hpp"

#include <cassert>

#include "platform/interrupt/interrupt_chips.hpp"
#include "spec/vtd/registers.hpp"

namespace touka::machine {

namespace {

/// What is remapped goes nowhere when nothing is: the unit's own interrupts are plain messages then.
class NoDelivery final : public iommu::InterruptDelivery {
    void deliver(const platform::InterruptMessage&) override {}
};

std::unique_ptr<iommu::InterruptDelivery> delivery_to(platform::InterruptChips* chips) {
    if (chips == nullptr) return std::make_unique<NoDelivery>();
    return std::make_unique<iommu::BusDelivery>(chips->bus());
}

} // namespace

MachineIommu::MachineIommu(memory::GuestMemory& memory, InterruptSystem& interrupts, runtime::Timers& timers,
                           platform::AddressSpace& space, bool shadowed)
    : space_(space), options_{.caching_mode = shadowed,
                              .interrupt_remapping = interrupts.chips() != nullptr,
                              .longest_switch = std::chrono::seconds(30)},
      delivery_(delivery_to(interrupts.chips())), unit_({memory, interrupts.msi(), *delivery_, timers}, options_),
      io_apic_messages_(unit_.interrupts(), iommu::kIoApicRequester) {
    if (interrupts.chips() != nullptr) interrupts.chips()->io_apic().send_messages_to(io_apic_messages_);
    [[maybe_unused]] const auto mapped = space_.add(iommu::kUnitBase.value, spec::vtd::kRegisterBytes, unit_);
    assert(mapped && "nothing else of the machine's map is there");
}

MachineIommu::~MachineIommu() { space_.remove(iommu::kUnitBase.value); }

std::vector<std::uint8_t> MachineIommu::table(const platform::PlatformLayout& layout, bool functions_translate) const {
    return iommu::make_dmar({.registers = iommu::kUnitBase,
                             .io_apic_id = layout.io_apic_id,
                             .io_apic_requester = iommu::kIoApicRequester,
                             .root_ports_have_ats = functions_translate},
                            options_);
}

} // namespace touka::machine
