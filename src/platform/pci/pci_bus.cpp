#include "platform/pci/pci_bus.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

/// 64-bit BARs up to this size go below 4 GiB, where every system reaches them.
constexpr std::uint64_t kLowBarLimitBytes = 0x1000'0000;

} // namespace

void PciBus::clear() {
    while (!slots_.empty()) unplug(slots_.begin()->first);
}

std::expected<void, PciError> PciBus::plug(std::uint8_t devfn, PciFunction& function) {
    if (slots_.contains(devfn)) return std::unexpected(PciError::kOccupied);
    Slot slot{&function, {}};
    if (!assign_addresses(slot)) {
        release_addresses(slot);
        return std::unexpected(PciError::kNoAddressesLeft);
    }
    slots_.emplace(devfn, std::move(slot));
    const PciAddress place = PciAddress::from(0, devfn);
    PciFunction::Attachment attachment{.memory = &resources_.memory,
                                       .ports = &resources_.ports,
                                       .bus = this,
                                       .devfn = devfn,
                                       .below_port = resources_.port_device.has_value()};
    if (const std::uint32_t pin = function.read_config(offset::kInterruptPin, 1); pin != 0) {
        // A bridge joins its devices' pins with its own, turned by the device number. (PCIe Base 5.0 table 2-19)
        const unsigned device = resources_.port_device ? *resources_.port_device : place.device;
        const unsigned own_pin = resources_.port_device ? (place.device + pin - 1) % 4 + 1 : pin;
        attachment.interrupt = &resources_.router.make_wire(device, own_pin);
        attachment.interrupt_line = static_cast<std::uint8_t>(pci_pin_gsi(device, own_pin));
    }
    function.attach(attachment);
    return {};
}

void PciBus::unplug(std::uint8_t devfn) {
    const auto found = slots_.find(devfn);
    if (found == slots_.end()) return;
    found->second.function->detach();
    release_addresses(found->second);
    slots_.erase(found);
}

PciFunction* PciBus::find(std::uint8_t devfn) const {
    const auto found = slots_.find(devfn);
    return found == slots_.end() ? nullptr : found->second.function;
}

bool PciBus::multi_function(std::uint8_t device) const {
    const auto first = static_cast<std::uint8_t>(device * kFunctionsPerDevice);
    const auto next = slots_.upper_bound(first);
    return next != slots_.end() && next->first < first + kFunctionsPerDevice;
}

BarAllocator* PciBus::allocator_for(const PciFunction::Bar& bar) const {
    if (bar.kind == BarKind::kPorts) return resources_.io;
    const bool high = bar.kind == BarKind::kMemory64Prefetchable ||
                      (bar.kind == BarKind::kMemory64 && bar.length_bytes > kLowBarLimitBytes);
    return high ? &resources_.memory64 : &resources_.memory32;
}

bool PciBus::assign_addresses(Slot& slot) const {
    const auto bars = slot.function->bars();
    for (unsigned i = 0; i < bars.size(); ++i) {
        if (bars[i].length_bytes == 0) continue;
        BarAllocator* const allocator = allocator_for(bars[i]);
        if (allocator == nullptr) continue; // stays without an address, as firmware leaves what it cannot place
        const auto address = allocator->allocate(bars[i].length_bytes);
        if (!address) return false;
        slot.addresses.emplace_back(allocator, *address);
        slot.function->place_bar(i, *address);
    }
    return true;
}

void PciBus::release_addresses(Slot& slot) {
    for (const auto& [allocator, address] : slot.addresses) allocator->release(address);
    slot.addresses.clear();
}

} // namespace touka::platform
