#include "platform/pci/pci_function.hpp"

#include <bit>
#include <cassert>
#include <utility>
#include <vector>

#include "platform/pci/pci_bus.hpp"
#include "spec/pci/express.hpp"

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr std::uint32_t bar_offset(unsigned index) {
    return index == PciFunction::kRom ? kExpansionRomOffset : offset::kBar0 + 4 * index;
}

ExpressCapabilities express_type(std::uint8_t device_port_type) {
    ExpressCapabilities capabilities;
    return capabilities.set(express_capabilities::VERSION, std::uint8_t{2})
        .set(express_capabilities::DEVICE_PORT_TYPE, device_port_type);
}

void define_link(ConfigSpace& config, std::uint32_t express) {
    LinkCapabilities capabilities;
    capabilities.set(link_capabilities::MAX_LINK_SPEED, kLinkSpeed16Gt)
        .set(link_capabilities::MAXIMUM_LINK_WIDTH, kLinkWidth4)
        .set(link_capabilities::DATA_LINK_LAYER_LINK_ACTIVE_REPORTING_CAPABLE, true);
    config.define(express + kLinkCapabilitiesOffset, 4, capabilities.raw);
    config.define(express + kLinkControlOffset, 2, 0, kLinkControlWritable);
    config.define(express + kLinkCapabilities2Offset, 4, kSupportedLinkSpeeds);
    config.define(express + kLinkControl2Offset, 2, kLinkSpeed16Gt, 0xFFFF);
}

} // namespace

std::uint32_t bar_type_bits(BarKind kind) {
    switch (kind) {
        case BarKind::kPorts: return kBarIoSpace;
        case BarKind::kMemory32: return 0;
        case BarKind::kMemory64: return kBarMemory64;
        case BarKind::kMemory64Prefetchable: return kBarMemory64 | kBarPrefetchable;
    }
    std::unreachable();
}

PciFunction::PciFunction(std::string name, const PciIdentity& identity) : name_(std::move(name)) {
    config_.define(offset::kVendorId, 2, identity.vendor_id);
    config_.define(offset::kDeviceId, 2, identity.device_id);
    config_.define(offset::kCommand, 2, 0, command::kWritable);
    config_.define(offset::kRevisionId, 1, identity.revision_id);
    config_.define(offset::kClassCode, 3, identity.class_code);
    config_.define(offset::kSubsystemVendorId, 2, identity.subsystem_vendor_id);
    config_.define(offset::kSubsystemId, 2, identity.subsystem_id);
    config_.define(offset::kInterruptLine, 1, 0, 0xFF);
}

PciFunction::~PciFunction() { detach(); }

void PciFunction::define_bar(unsigned index, BarKind kind, std::uint64_t length_bytes, IoHandler& handler) {
    assert(std::has_single_bit(length_bytes) && length_bytes >= 16);
    bars_.at(index) = Bar{kind, length_bytes, &handler, 0, std::nullopt};
    place_bar(index, 0);
}

void PciFunction::define_rom(std::uint64_t length_bytes, IoHandler& handler) {
    assert(length_bytes >= 2048 && length_bytes <= 16 << 20);
    define_bar(kRom, BarKind::kMemory32, length_bytes, handler);
}

void PciFunction::place_bar(unsigned index, std::uint64_t address) {
    Bar& bar = bars_.at(index);
    bar.reset_address = address;
    std::uint64_t writable = ~(bar.length_bytes - 1);
    if (index == kRom) writable |= kExpansionRomEnable;
    const unsigned width_bytes = is_64_bit(bar.kind) ? 8 : 4;
    config_.define(bar_offset(index), width_bytes, address | bar_type_bits(bar.kind), writable);
    for (unsigned i = 0; i < bars_.size(); ++i) update_mapping(i);
}

std::uint32_t PciFunction::add_capability(CapabilityId id, std::span<const std::uint8_t> body) {
    const std::uint32_t at = next_capability_;
    assert(at + body.size() <= kConventionalConfigBytes);
    for (std::uint32_t i = 2; i < body.size(); ++i) config_.define(at + i, 1, body[i]);
    config_.define(at, 1, std::to_underlying(id));
    config_.define(last_capability_ == 0 ? offset::kCapabilitiesPointer : last_capability_ + 1, 1, at);
    Status status;
    config_.define(offset::kStatus, 2, status.set(status::CAPABILITIES_LIST, true).raw);
    last_capability_ = at;
    next_capability_ = (at + static_cast<std::uint32_t>(body.size()) + 3) & ~3u;
    return at;
}

void PciFunction::add_power_management() {
    const std::uint32_t at =
        add_capability(CapabilityId::kPowerManagement, std::vector<std::uint8_t>(kPowerManagementBytes));
    config_.define(at + kPmcOffset, 2, kPmcVersion3);
    config_.define(at + kPmcsrOffset, 2, kPmcsrNoSoftReset, kPmcsrPowerState);
}

void PciFunction::add_express_endpoint() {
    express_capability_ = add_capability(CapabilityId::kPciExpress, std::vector<std::uint8_t>(kExpressBytes));
    config_.define(express_capability_ + kExpressCapabilitiesOffset, 2,
                   express_type(express_capabilities::kRootComplexIntegratedEndpoint).raw);
    config_.define(express_capability_ + kDeviceCapabilitiesOffset, 4,
                   kRoleBasedErrorReporting | kFunctionLevelResetCapable);
    config_.define(express_capability_ + kDeviceControlOffset, 2, kDeviceControlReset, kDeviceControlWritable);
}

std::uint32_t PciFunction::add_express_port() {
    const std::uint32_t at = add_capability(CapabilityId::kPciExpress, std::vector<std::uint8_t>(kExpressBytes));
    config_.define(at + kExpressCapabilitiesOffset, 2,
                   express_type(express_capabilities::kRootPort).set(express_capabilities::SLOT_IMPLEMENTED, true).raw);
    config_.define(at + kDeviceCapabilitiesOffset, 4, kRoleBasedErrorReporting);
    config_.define(at + kDeviceControlOffset, 2, kDeviceControlReset, kDeviceControlWritable);
    config_.define(at + kDeviceCapabilities2Offset, 4, kAriForwarding);
    config_.define(at + kDeviceControl2Offset, 2, 0, kAriForwarding);
    config_.define(at + kRootControlOffset, 2, 0, kRootControlWritable);
    config_.define(at + kRootStatusOffset, 4, 0, 0, kRootStatusPme);
    define_link(config_, at);
    return at;
}

/// What a function within the root complex has not: a link.
void PciFunction::become_link_partner() {
    if (express_capability_ == 0) return;
    config_.define(express_capability_ + kExpressCapabilitiesOffset, 2,
                   express_type(express_capabilities::kEndpoint).raw);
    define_link(config_, express_capability_);
    LinkStatus status;
    status.set(link_status::CURRENT_LINK_SPEED, kLinkSpeed16Gt).set(link_status::NEGOTIATED_LINK_WIDTH, kLinkWidth4);
    config_.define(express_capability_ + kLinkStatusOffset, 2, status.raw);
}

std::uint32_t PciFunction::add_extended_capability(ExtendedCapabilityId id, std::uint8_t version,
                                                   std::uint32_t length_bytes) {
    const std::uint32_t at = next_extended_capability_;
    assert(at + length_bytes <= kConfigBytes);
    ExtendedCapabilityHeader header;
    header.set(extended_capability_header::ID, static_cast<std::uint16_t>(std::to_underlying(id)))
        .set(extended_capability_header::VERSION, version);
    config_.define(at, 4, header.raw);
    if (last_extended_capability_ != 0) {
        ExtendedCapabilityHeader last{static_cast<std::uint32_t>(config_.read(last_extended_capability_, 4))};
        last.set(extended_capability_header::NEXT, static_cast<std::uint16_t>(at));
        config_.define(last_extended_capability_, 4, last.raw);
    }
    last_extended_capability_ = at;
    next_extended_capability_ = (at + length_bytes + 3) & ~3u;
    return at;
}

void PciFunction::add_alternative_routing_id() {
    (void)add_extended_capability(ExtendedCapabilityId::kAlternativeRoutingId, 1, kAriBytes); // no next function
}

void PciFunction::add_sriov(std::uint16_t vf_device_id, VirtualFunctions& functions) {
    const std::uint32_t at = add_extended_capability(ExtendedCapabilityId::kSingleRootIoVirtualization, 1, kSriovBytes);
    sriov_ = std::make_unique<SriovCapability>(config_, at, vf_device_id, functions);
}

void PciFunction::add_address_translation_services(bool virtual_function, TranslationServices& services) {
    const std::uint32_t at = add_extended_capability(ExtendedCapabilityId::kAddressTranslationServices, 1, kAtsBytes);
    ats_ = std::make_unique<AtsCapability>(config_, at, virtual_function, services);
}

MsixTable& PciFunction::add_msix(unsigned bar_index, unsigned vector_count, MsiSink& sink) {
    msix_ = std::make_unique<MsixTable>(vector_count, sink);
    define_bar(bar_index, BarKind::kMemory32, msix_->bar_bytes(), *msix_);
    msix_capability_ = add_capability(CapabilityId::kMsix, std::vector<std::uint8_t>(kMsixCapabilityBytes));
    config_.define(msix_capability_ + kMsixControlOffset, 2, msix_->vector_count() - 1, msix_control::kWritable);
    config_.define(msix_capability_ + kMsixTableOffset, 4, bar_index);
    config_.define(msix_capability_ + kMsixPbaOffset, 4, msix_->pba_offset() | bar_index);
    return *msix_;
}

void PciFunction::set_interrupt_pin(std::uint8_t pin) { config_.define(offset::kInterruptPin, 1, pin); }

void PciFunction::attach(const Attachment& attachment) {
    attachment_ = attachment;
    config_.define(offset::kInterruptLine, 1, attachment.interrupt_line, 0xFF);
    if (attachment.below_port) become_link_partner();
    captured_requester_.reset();
    capture_requester();
    pin_.connect(attachment.interrupt);
    config_changed();
}

void PciFunction::detach() {
    if (sriov_) sriov_->update(nullptr, 0);
    virtual_addresses_ = {};
    for (unsigned i = 0; i < bars_.size(); ++i) unmap(i);
    pin_.connect(nullptr);
    attachment_ = {};
}

std::uint32_t PciFunction::read_config(std::uint32_t at, unsigned width_bytes) {
    Status status{static_cast<std::uint16_t>(config_.read(offset::kStatus, 2))};
    config_.set(offset::kStatus, 2, status.set(status::INTERRUPT_STATUS, pin_.asserted()).raw);
    auto value = static_cast<std::uint32_t>(config_.read(at, width_bytes));
    if (at <= offset::kHeaderType && offset::kHeaderType < at + width_bytes && shows_multi_function()) {
        value |= std::uint32_t{kHeaderMultiFunction} << (8 * (offset::kHeaderType - at));
    }
    return value;
}

bool PciFunction::shows_multi_function() const {
    const PciAddress place = PciAddress::from(0, attachment_.devfn);
    return attachment_.bus != nullptr && place.function == 0 && attachment_.bus->multi_function(place.device);
}

void PciFunction::capture_requester() {
    if (attachment_.bus == nullptr || captured_requester_ == requester_id()) return;
    captured_requester_ = requester_id();
    if (requester_changed_) requester_changed_(*captured_requester_);
}

void PciFunction::write_config(std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    capture_requester();
    config_.write(at, width_bytes, value);
    if (ats_) ats_->written(at, width_bytes);
    if (express_capability_ != 0) {
        const std::uint32_t control = express_capability_ + kDeviceControlOffset;
        const bool high_byte_written = at <= control + 1 && control + 1 < at + width_bytes;
        const bool initiate = high_byte_written && (value >> (8 * (control + 1 - at)) & 0x80) != 0;
        if (initiate) return bus_reset(); // the bit reads 0 always: it is not writable (PCIe Base 5.0 §7.5.3.4)
    }
    config_changed();
}

void PciFunction::bus_reset() {
    function_level_reset();
    reset_config();
}

void PciFunction::reset() { reset_config(); }

std::uint16_t PciFunction::requester_id() const {
    return PciAddress::from(attachment_.bus->number(), attachment_.devfn).requester_id();
}

void PciFunction::reset_config() {
    for (unsigned i = 0; i < bars_.size(); ++i) unmap(i);
    config_.reset();
    if (msix_) msix_->reset();
    pin_.set(false);
    config_changed();
}

Command PciFunction::command() const { return Command{static_cast<std::uint16_t>(config_.read(offset::kCommand, 2))}; }

void PciFunction::config_changed() {
    const bool bus_master = command().get(command::BUS_MASTER);
    const bool was_bus_master = bus_master_.exchange(bus_master, std::memory_order_acq_rel);
    pin_.set_disabled(command().get(command::INTERRUPT_DISABLE));
    if (msix_) {
        const MsixControl control{static_cast<std::uint16_t>(config_.read(msix_capability_ + kMsixControlOffset, 2))};
        msix_->set_control(control.get(msix_control::MSIX_ENABLE), control.get(msix_control::FUNCTION_MASK),
                           bus_master);
    }
    for (unsigned i = 0; i < bars_.size(); ++i) update_mapping(i);
    if (sriov_) sriov_->update(attachment_.bus, attachment_.devfn);
    if (ats_) ats_->update();
    if (bus_master && !was_bus_master) bus_master_granted();
}

AddressSpace* PciFunction::space_of(const Bar& bar) const {
    return bar.kind == BarKind::kPorts ? attachment_.ports : attachment_.memory;
}

std::optional<std::uint64_t> PciFunction::bar_address(unsigned index) const {
    if (virtual_) return index == kRom ? std::nullopt : virtual_addresses_[index];
    const Bar& bar = bars_[index];
    bool enabled =
        bar.kind == BarKind::kPorts ? command().get(command::IO_SPACE) : command().get(command::MEMORY_SPACE);
    if (index == kRom) enabled = enabled && (config_.read(kExpansionRomOffset, 4) & kExpansionRomEnable) != 0;
    const std::uint64_t address =
        config_.read(bar_offset(index), is_64_bit(bar.kind) ? 8 : 4) & ~(bar.length_bytes - 1);
    if (!enabled || address == 0) return std::nullopt;
    return address;
}

void PciFunction::update_mapping(unsigned index) {
    Bar& bar = bars_[index];
    if (bar.length_bytes == 0 || !space_of(bar)) return;
    const auto address = bar_address(index);
    if (bar.mapped_at && bar.mapped_at != address) unmap(index);
    if (!address || bar.mapped_at) return;
    // Over something else, as while sizes are probed: the other one stays, and this BAR answers nowhere.
    if (!space_of(bar)->add(*address, bar.length_bytes, *bar.handler)) return;
    bar.mapped_at = address;
    if (index != kRom) bar_mapped(index, *address);
}

void PciFunction::move_virtual_bar(unsigned index, std::optional<std::uint64_t> address) {
    virtual_addresses_[index] = address;
    update_mapping(index);
}

void PciFunction::become_virtual() {
    virtual_ = true;
    config_.define(offset::kVendorId, 4, kVfId | std::uint32_t{kVfId} << 16);
    config_.define(offset::kCommand, 2, 0, Command{}.set(command::BUS_MASTER, true).raw);
    for (unsigned i = 0; i < kBarCount; ++i) config_.define(bar_offset(i), 4, 0);
    config_.define(offset::kInterruptPin, 1, 0);
}

void PciFunction::unmap(unsigned index) {
    Bar& bar = bars_[index];
    if (!bar.mapped_at) return;
    if (index != kRom) bar_unmapped(index, *bar.mapped_at);
    space_of(bar)->remove(*bar.mapped_at);
    bar.mapped_at.reset();
}

PciFunctionState PciFunction::save_function() const {
    PciFunctionState state{config_.save(), {}};
    if (msix_) state.msix = msix_->save();
    return state;
}

std::expected<void, migration::RestoreError> PciFunction::restore_function(const PciFunctionState& state) {
    for (std::uint32_t i = 0; i < offset::kCommand; ++i) {
        if (state.config[i] != config_.read(i, 1)) return std::unexpected(migration::RestoreError::kMismatch);
    }
    if (state.msix.entries.size() != (msix_ ? msix_->vector_count() : 0)) {
        return std::unexpected(migration::RestoreError::kMismatch);
    }
    for (unsigned i = 0; i < bars_.size(); ++i) unmap(i);
    if (msix_) {
        msix_->reset();
        if (!msix_->restore(state.msix)) return std::unexpected(migration::RestoreError::kMismatch);
    }
    config_.restore(state.config);
    config_changed();
    return {};
}

} // namespace touka::platform
