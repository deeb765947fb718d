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

BarAllocator* PciBus::allocator_for(BarKind kind, std::uint64_t length_bytes) const {
    if (kind == BarKind::kPorts) return resources_.io;
    const bool high =
        kind == BarKind::kMemory64Prefetchable || (kind == BarKind::kMemory64 && length_bytes > kLowBarLimitBytes);
    return high ? &resources_.memory64 : &resources_.memory32;
}

/// @return the address; 0: there is nothing to take it from, and it stays without, as firmware leaves it.
std::optional<std::uint64_t> PciBus::allocate(Slot& slot, BarKind kind, std::uint64_t length_bytes) const {
    BarAllocator* const allocator = allocator_for(kind, length_bytes);
    if (allocator == nullptr) return 0;
    const auto address = allocator->allocate(length_bytes);
    if (address) slot.addresses.emplace_back(allocator, *address);
    return address;
}

bool PciBus::assign_addresses(Slot& slot) const {
    PciFunction& function = *slot.function;
    if (function.is_virtual()) return true; // its physical function has addresses for it
    for (unsigned i = 0; i < kBarCount; ++i) {
        const PciFunction::Bar& bar = function.bars()[i];
        if (bar.length_bytes == 0) continue;
        const auto address = allocate(slot, bar.kind, bar.length_bytes);
        if (!address) return false;
        function.place_bar(i, *address);
    }
    // Without room it stays without an address, as firmware leaves it: software may find one.
    if (const std::uint64_t bytes = function.rom().length_bytes; bytes != 0) {
        const auto address = allocate(slot, BarKind::kMemory32, bytes);
        if (address) function.place_bar(PciFunction::kRom, *address);
    }
    SriovCapability* const sriov = function.sriov();
    for (unsigned i = 0; i < kBarCount && sriov != nullptr; ++i) {
        if (sriov->bar_bytes(i) == 0) continue;
        const auto address = allocate(slot, sriov->pattern().bars()[i].kind, sriov->bar_space_bytes(i));
        if (!address) return false;
        sriov->place_bar(i, *address);
    }
    return true;
}

void PciBus::release_addresses(Slot& slot) {
    for (const auto& [allocator, address] : slot.addresses) allocator->release(address);
    slot.addresses.clear();
}

} // namespace touka::platform
