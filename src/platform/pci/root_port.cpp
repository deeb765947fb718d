#include "platform/pci/root_port.hpp"

#include <utility>
#include <vector>

#include "spec/pci/bridge_header.hpp"
#include "spec/pci/express.hpp"
#include "spec/pci/extended_capability.hpp"
#include "spec/pci/message_signalled.hpp"
#include "spec/pci/q35.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr std::uint16_t window_bits(std::uint64_t address) {
    return static_cast<std::uint16_t>(address / bridge::kWindowGranularity << 4);
}

} // namespace

RootPort::RootPort(std::string name, std::uint16_t slot, MsiSink& sink, std::function<void()> on_power_off)
    : PciFunction(std::move(name), PciIdentity{.vendor_id = kVendorIntel,
                                               .device_id = kIch9RootPort,
                                               .revision_id = 2,
                                               .class_code = class_code::kPciBridge}),
      on_power_off_(std::move(on_power_off)) {
    config().define(offset::kHeaderType, 1, bridge::kHeaderType);
    config().define(bridge::kIoWindow, 2, 0); // no ports behind it
    config().define(bridge::kControl, 2, 0, bridge::kControlWritable);
    config().define(offset::kSubsystemVendorId, 4, 0); // is the prefetchable limit's upper half here
    set_interrupt_pin(1);
    add_power_management();
    express_ = add_express_port();
    slot_.emplace(config(), express_, slot);
    const std::uint32_t msi =
        add_capability(CapabilityId{kMsiCapabilityId}, std::vector<std::uint8_t>(MsiCapability::kBytes));
    msi_.emplace(config(), msi, sink);
    const std::uint32_t acs = add_extended_capability(ExtendedCapabilityId::kAccessControlServices, 1, kAcsBytes);
    config().define(acs + kAcsCapabilityOffset, 2, kAcsRootPort);
    config().define(acs + kAcsControlOffset, 2, 0, kAcsRootPort);
}

void RootPort::open_bus(std::uint8_t number, const PciWindow& memory32, const PciWindow& memory64,
                        const BusResources& parent, std::uint8_t own_device) {
    memory32_.emplace(memory32);
    memory64_.emplace(memory64);
    bus_.emplace(number,
                 BusResources{parent.memory, parent.ports, parent.router, *memory32_, *memory64_, nullptr, own_device});
    config().define(bridge::kPrimaryBus, 1, 0, 0xFF);
    config().define(bridge::kSecondaryBus, 1, number, 0xFF);
    config().define(bridge::kSubordinateBus, 1, number, 0xFF);
    config().define(bridge::kMemoryBase, 2, window_bits(memory32.first), bridge::kWindowAddressMask);
    config().define(bridge::kMemoryLimit, 2, window_bits(memory32.last()), bridge::kWindowAddressMask);
    config().define(bridge::kPrefetchableBase, 2, window_bits(memory64.first) | bridge::kPrefetchable64,
                    bridge::kWindowAddressMask);
    config().define(bridge::kPrefetchableLimit, 2, window_bits(memory64.last()) | bridge::kPrefetchable64,
                    bridge::kWindowAddressMask);
    config().define(bridge::kPrefetchableBaseUpper, 4, memory64.first >> 32, 0xFFFF'FFFF);
    config().define(bridge::kPrefetchableLimitUpper, 4, memory64.last() >> 32, 0xFFFF'FFFF);
}

bool RootPort::forwards(std::uint8_t devfn) const {
    if (!slot_->powered()) return false;
    // A link has one device on its other end: number 0, or all functions that alternative routing IDs name. (§6.13)
    return devfn < kFunctionsPerDevice || (config().read(express_ + kDeviceControl2Offset, 2) & kAriForwarding) != 0;
}

void RootPort::write_config(std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    const auto bus_reset = [this] { return (config().read(bridge::kControl, 2) & bridge::kSecondaryBusReset) != 0; };
    const bool was_reset = bus_reset();
    PciFunction::write_config(at, width_bytes, value);
    secondary_changed();
    if (bus_reset() && !was_reset) reset_secondary_bus();
    if (slot_->written() == HotPlugSlot::Change::kPowerOff && slot_->occupied()) {
        reset_secondary_bus();
        on_power_off_();
    }
    update_interrupt();
}

void RootPort::secondary_changed() {
    if (bus_) bus_->renumber(static_cast<std::uint8_t>(config().read(bridge::kSecondaryBus, 1)));
}

void RootPort::reset_secondary_bus() {
    if (bus_) bus_->for_each([](PciFunction& function) { function.bus_reset(); });
}

void RootPort::occupancy_changed() {
    slot_->set_occupied(!bus_->empty());
    if (slot_->occupied() && !slot_->powered()) slot_->press_button();
    update_interrupt();
}

void RootPort::request_removal() {
    if (!slot_->button_pending()) slot_->press_button();
    update_interrupt();
}

void RootPort::update_interrupt() {
    const bool wanted = slot_->wants_interrupt();
    msi_->update(wanted, bus_master_enabled());
    pin().set(wanted && !msi_->enabled());
}

void RootPort::reset() {
    PciFunction::reset();
    slot_->registers_replaced();
    secondary_changed();
    update_interrupt();
}

migration::Record RootPort::save() const { return migration::save_record(std::string(name()), save_function()); }

std::expected<void, migration::RestoreError> RootPort::restore(const migration::Record& record) {
    const auto state = migration::load_record<PciFunctionState>(record);
    if (!state) return std::unexpected(state.error());
    if (auto restored = restore_function(*state); !restored) return restored;
    secondary_changed();
    slot_->registers_replaced();
    msi_->registers_replaced(slot_->wants_interrupt(), bus_master_enabled());
    update_interrupt();
    return {};
}

} // namespace touka::platform
