#include "platform/pci/host_bridge.hpp"

#include <utility>

#include "spec/pci/q35.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

/// Bus counts by PCIEXBAR.LENGTH; the fourth value is reserved.
constexpr std::array<unsigned, 3> kBusCounts = {256, 128, 64};
constexpr std::uint8_t kResetLength = 2;
static_assert(kBusCounts[kResetLength] == kEcamBusCount);

constexpr Pciexbar reset_value() {
    Pciexbar value{kEcamBase};
    value.set(pciexbar::PCIEXBAREN, true).set(pciexbar::LENGTH, kResetLength);
    return value;
}

} // namespace

HostBridge::HostBridge(std::function<void(std::optional<PciWindow>)> on_window)
    : PciFunction("host-bridge@00:00.0", PciIdentity{.vendor_id = kVendorIntel,
                                                     .device_id = kQ35HostBridge,
                                                     .revision_id = 2,
                                                     .class_code = class_code::kHostBridge}),
      on_window_(std::move(on_window)) {
    config().define(kPciexbarOffset, 8, reset_value().raw, pciexbar::kWritable);
}

std::optional<PciWindow> HostBridge::window() {
    const Pciexbar value{config().read(kPciexbarOffset, 8)};
    const std::uint8_t length = value.get(pciexbar::LENGTH);
    if (!value.get(pciexbar::PCIEXBAREN) || length >= kBusCounts.size()) return std::nullopt;
    const std::uint64_t length_bytes = kBusCounts[length] * kEcamBytesPerBus;
    return PciWindow{value.raw & pciexbar::kBaseMask & ~(length_bytes - 1), length_bytes};
}

void HostBridge::write_config(std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    const std::uint64_t before = config().read(kPciexbarOffset, 8);
    PciFunction::write_config(at, width_bytes, value);
    if (config().read(kPciexbarOffset, 8) != before) on_window_(window());
}

void HostBridge::reset() {
    PciFunction::reset();
    on_window_(window());
}

migration::Record HostBridge::save() const { return migration::save_record(std::string(name()), save_function()); }

std::expected<void, migration::RestoreError> HostBridge::restore(const migration::Record& record) {
    const auto state = migration::load_record<PciFunctionState>(record);
    if (!state) return std::unexpected(state.error());
    auto restored = restore_function(*state);
    if (restored) on_window_(window());
    return restored;
}

} // namespace touka::platform
