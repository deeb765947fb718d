#include "devices/passthrough/config_filter.hpp"

#include <algorithm>

#include "spec/pci/capability.hpp"
#include "spec/pci/express.hpp"
#include "spec/pci/extended_capability.hpp"

namespace touka::devices::passthrough {

using namespace spec::pci;

namespace {

std::uint32_t load(std::span<const std::uint8_t> bytes, std::uint32_t offset, unsigned width_bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < width_bytes && offset + i < bytes.size(); ++i) {
        value |= std::uint32_t{bytes[offset + i]} << (8 * i);
    }
    return value;
}

/// PCI Local Bus 3.0 figure 6-9: the four forms of the capability.
std::uint32_t msi_bytes(std::uint32_t raw) {
    const MsiControl control{static_cast<std::uint16_t>(raw)};
    const std::uint32_t wide = control.get(msi_control::ADDRESS_64) ? 4 : 0;
    return wide + (control.get(msi_control::PER_VECTOR_MASKING) ? kMsiPendingOffset + 4 : kMsiDataOffset + 2);
}

/// As many as fit without two at one place.
constexpr int kCapabilityLimit = 48, kExtendedCapabilityLimit = 960;

} // namespace

CapabilityPlaces find_capabilities(std::span<const std::uint8_t> bytes) {
    CapabilityPlaces places;
    if ((load(bytes, offset::kStatus, 2) & 0x10) == 0) return places;
    std::uint32_t at = load(bytes, offset::kCapabilitiesPointer, 1) & ~3u;
    for (int i = 0; at >= offset::kFirstCapability && i < kCapabilityLimit; ++i) {
        const std::uint32_t left = kConventionalConfigBytes - at;
        switch (load(bytes, at, 1)) {
            case kMsiCapabilityId:
                if (left >= msi_bytes(load(bytes, at + kMsiControlOffset, 2))) places.msi = at;
                break;
            case static_cast<std::uint8_t>(CapabilityId::kMsix):
                if (left >= kMsixCapabilityBytes) places.msix = at;
                break;
            case static_cast<std::uint8_t>(CapabilityId::kPciExpress):
                if (left >= kDeviceControlOffset + 2) places.express = at;
                break;
            case static_cast<std::uint8_t>(CapabilityId::kPowerManagement):
                if (left >= kPowerManagementBytes) places.power_management = at;
                break;
            case kAdvancedFeaturesCapabilityId: places.advanced_features = at; break;
            default: break;
        }
        at = load(bytes, at + 1, 1) & ~3u;
    }
    return places;
}

ConfigFilter::ConfigFilter(std::span<const std::uint8_t> device, const CapabilityPlaces& places, bool has_intx,
                           platform::ConfigSpace& shown) {
    for (const EmulatedRegister& each : kEmulatedRegisters) {
        emulate(each.offset, each.mask, each.width_bytes, each.write_goes);
    }
    show_bar_kinds(device);
    if (!has_intx) emulate(offset::kInterruptPin, 0xFF, 1, WriteGoes::kToMachine);
    if (places.msix != 0) {
        // The device hears whether it is on, too; the table is the machine's.
        const std::uint32_t at = places.msix + kMsixControlOffset;
        emulate(at, msix_control::kWritable, 2, WriteGoes::kToBoth);
        shown.define(at, 2, load(device, at, 2) & ~std::uint32_t{msix_control::kWritable}, msix_control::kWritable);
    }
    if (places.msi != 0) emulate_msi(places.msi, device, shown);
    hide_extended(device, shown);
}

void ConfigFilter::emulate(std::uint32_t offset, std::uint32_t mask, unsigned width_bytes, WriteGoes write_goes) {
    for (unsigned i = 0; i < width_bytes; ++i) {
        machine_bits_.at(offset + i) = static_cast<std::uint8_t>(mask >> (8 * i));
        machine_only_.at(offset + i) = write_goes == WriteGoes::kToMachine;
    }
}

void ConfigFilter::show_bar_kinds(std::span<const std::uint8_t> device) {
    for (unsigned i = 0; i < kBarCount; ++i) {
        const std::uint32_t at = offset::kBar0 + 4 * i;
        const std::uint32_t low = load(device, at, 1);
        const bool ports = (low & kBarIoSpace) != 0;
        machine_bits_[at] = static_cast<std::uint8_t>(ports ? kBarIoMask : kBarMemoryMask);
        if (!ports && (low & kBarMemory64) != 0) ++i; // its upper half is all address
    }
}

void ConfigFilter::emulate_msi(std::uint32_t at, std::span<const std::uint8_t> device, platform::ConfigSpace& shown) {
    const MsiControl control{static_cast<std::uint16_t>(load(device, at + kMsiControlOffset, 2))};
    emulate(at + kMsiControlOffset, msi_control::kWritable, 2, WriteGoes::kToBoth);
    shown.define(at + kMsiControlOffset, 2, control.raw & ~std::uint32_t{msi_control::kWritable},
                 msi_control::kWritable);
    const auto keep = [&](std::uint32_t offset, unsigned width_bytes, std::uint32_t writable) {
        emulate(offset, ~std::uint32_t{0}, width_bytes, WriteGoes::kToMachine);
        shown.define(offset, width_bytes, 0, writable);
    };
    const bool wide = control.get(msi_control::ADDRESS_64);
    keep(at + kMsiAddressOffset, 4, 0xFFFF'FFFC);
    if (wide) keep(at + kMsiAddressHighOffset, 4, 0xFFFF'FFFF);
    const std::uint32_t rest = at + (wide ? 4 : 0);
    keep(rest + kMsiDataOffset, 2, 0xFFFF);
    if (!control.get(msi_control::PER_VECTOR_MASKING)) return;
    keep(rest + kMsiMaskOffset, 4, 0xFFFF'FFFF);
    keep(rest + kMsiPendingOffset, 4, 0);
}

void ConfigFilter::hide_extended(std::span<const std::uint8_t> device, platform::ConfigSpace& shown) {
    // A guest cannot make VFs, renumber functions or resize BARs of a function that was lent to it, nor answer its
    // translation requests: those are shown as capabilities without meaning (ID 0), so that the list stays whole.
    std::uint32_t at = kFirstExtendedCapability;
    for (int i = 0; at >= kFirstExtendedCapability && at + 4 <= device.size() && i < kExtendedCapabilityLimit; ++i) {
        const ExtendedCapabilityHeader header{load(device, at, 4)};
        const auto id = ExtendedCapabilityId{header.get(extended_capability_header::ID)};
        if (id == ExtendedCapabilityId::kAlternativeRoutingId ||
            id == ExtendedCapabilityId::kAddressTranslationServices ||
            id == ExtendedCapabilityId::kSingleRootIoVirtualization || id == ExtendedCapabilityId::kResizableBar) {
            emulate(at, 0xF'FFFF, 3, WriteGoes::kToMachine);
            shown.define(at, 3, header.raw & 0xF0'0000);
        }
        at = header.get(extended_capability_header::NEXT) & ~3u;
    }
}

std::uint32_t ConfigFilter::merge(std::uint32_t offset, unsigned width_bytes, std::uint32_t device,
                                  std::uint32_t machine) const {
    std::uint32_t mask = 0;
    for (unsigned i = 0; i < width_bytes && offset + i < machine_bits_.size(); ++i) {
        mask |= std::uint32_t{machine_bits_[offset + i]} << (8 * i);
    }
    return (device & ~mask) | (machine & mask);
}

} // namespace touka::devices::passthrough
