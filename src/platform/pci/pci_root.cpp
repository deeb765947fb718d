#include "platform/pci/pci_root.hpp"

#include <cassert>

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr PciAddress kHostBridgeAddress{0, 0, 0}, kIsaBridgeAddress{0, 0x1F, 0};
constexpr std::uint64_t kConfigPortBytes = 8, kResetControlOffset = 1,
                        kDataOffset = kConfigDataPort - kConfigAddressPort;
constexpr std::uint32_t all_ones(unsigned width_bytes) {
    return width_bytes >= 4 ? ~std::uint32_t{0} : (std::uint32_t{1} << (8 * width_bytes)) - 1;
}

} // namespace

PciRoot::PciRoot(AddressSpace& memory, AddressSpace& ports, const PciRootConfig& config)
    : memory_(memory), ports_(ports), reset_control_(config.reset_control), router_(config.interrupt_inputs),
      memory32_(config.memory32), memory64_(config.memory64), io_(config.ports),
      bus_(0, {memory, ports, router_, memory32_, memory64_, &io_, std::nullopt}),
      host_bridge_([this](std::optional<PciWindow> window) { move_ecam(window); }) {
    [[maybe_unused]] const bool plugged =
        plug(kHostBridgeAddress, host_bridge_) && plug(kIsaBridgeAddress, isa_bridge_);
    [[maybe_unused]] const auto mapped = ports_.add(kConfigAddressPort, kConfigPortBytes, config_ports_);
    assert(plugged && mapped);
    move_ecam(host_bridge_.window());
}

PciRoot::~PciRoot() {
    move_ecam(std::nullopt);
    ports_.remove(kConfigAddressPort);
    bus_.clear();
}

std::expected<void, PciError> PciRoot::plug(const PciAddress& address, PciFunction& function) {
    if (address.bus != 0 || address.device >= kDevicesPerBus || address.function >= kFunctionsPerDevice) {
        return std::unexpected(PciError::kNoSuchPlace);
    }
    const std::scoped_lock lock(mutex_);
    return bus_.plug(address.devfn(), function);
}

std::expected<void, PciError> PciRoot::plug_port(const PciAddress& address, RootPort& port) {
    const auto memory32 = memory32_.allocate(RootPort::kMemory32Bytes);
    const auto memory64 = memory64_.allocate(RootPort::kMemory64Bytes);
    if (!memory32 || !memory64) return std::unexpected(PciError::kNoAddressesLeft);
    port.open_bus(static_cast<std::uint8_t>(root_ports_.size() + 1), {*memory32, RootPort::kMemory32Bytes},
                  {*memory64, RootPort::kMemory64Bytes}, bus_.resources(), address.device);
    auto plugged = plug(address, port);
    if (plugged) root_ports_.push_back(&port);
    return plugged;
}

void PciRoot::unplug_port(const PciAddress& address, RootPort& port) {
    unplug(address);
    const std::scoped_lock lock(mutex_);
    std::erase(root_ports_, &port);
}

void PciRoot::unplug(const PciAddress& address) {
    if (address.bus != 0) return;
    const std::scoped_lock lock(mutex_);
    bus_.unplug(address.devfn());
}

std::expected<void, PciError> PciRoot::plug(RootPort& port, std::uint8_t devfn, PciFunction& function) {
    const std::scoped_lock lock(mutex_);
    auto plugged = port.secondary_bus().plug(devfn, function);
    if (plugged && devfn == 0) port.occupancy_changed();
    return plugged;
}

void PciRoot::unplug(RootPort& port, std::uint8_t devfn) {
    const std::scoped_lock lock(mutex_);
    port.secondary_bus().unplug(devfn);
    if (devfn == 0) port.occupancy_changed();
}

void PciRoot::request_removal(RootPort& port) {
    const std::scoped_lock lock(mutex_);
    port.request_removal();
}

void PciRoot::silence(RootPort& port) {
    const std::scoped_lock lock(mutex_);
    port.secondary_bus().clear();
}

void PciRoot::show_removal(RootPort& port) {
    const std::scoped_lock lock(mutex_);
    port.occupancy_changed();
}

PciRoot::SlotView PciRoot::look_at(const RootPort& port) {
    const std::scoped_lock lock(mutex_);
    const HotPlugSlot& slot = port.slot();
    return {slot.powered(), slot.power_indicator(), slot.attention_indicator()};
}

PciFunction* PciRoot::find(const PciAddress& address) {
    if (address.bus == 0) return bus_.find(address.devfn());
    for (RootPort* const port : root_ports_) {
        if (port->secondary_bus().number() != address.bus) continue;
        return port->forwards(address.devfn()) ? port->secondary_bus().find(address.devfn()) : nullptr;
    }
    return nullptr;
}

void PciRoot::move_ecam(std::optional<PciWindow> window) {
    if (ecam_window_) memory_.remove(ecam_window_->first);
    ecam_window_.reset();
    // Over something else: that stays, and the window is reached through the ports alone.
    if (window && memory_.add(window->first, window->length_bytes, ecam_)) ecam_window_ = window;
}

std::uint32_t PciRoot::read_config(const PciAddress& address, std::uint32_t at, unsigned width_bytes) {
    const std::scoped_lock lock(mutex_);
    PciFunction* const function = find(address);
    return function != nullptr && function->ready() ? function->read_config(at, width_bytes) : all_ones(width_bytes);
}

void PciRoot::write_config(const PciAddress& address, std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    PciFunction* const function = find(address);
    if (function != nullptr && function->ready()) function->write_config(at, width_bytes, value);
}

std::uint32_t PciRoot::config_address() {
    const std::scoped_lock lock(mutex_);
    return config_address_;
}

void PciRoot::set_config_address(std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    config_address_ = value;
}

void PciRoot::reset() { set_config_address(0); }

migration::Record PciRoot::save() const {
    return migration::save_record(std::string(name()), PciRootState{config_address_});
}

std::expected<void, migration::RestoreError> PciRoot::restore(const migration::Record& record) {
    const auto state = migration::load_record<PciRootState>(record);
    if (!state) return std::unexpected(state.error());
    set_config_address(state->config_address);
    return {};
}

namespace {

struct ConfigPlace {
    PciAddress address;
    std::uint32_t offset;
};

ConfigPlace ecam_place(std::uint64_t window_offset) {
    const EcamOffset at{static_cast<std::uint32_t>(window_offset)};
    return {{at.get(ecam_offset::BUS), at.get(ecam_offset::DEVICE), at.get(ecam_offset::FUNCTION)},
            at.get(ecam_offset::REGISTER)};
}

ConfigPlace port_place(ConfigAddress at, std::uint64_t port_offset) {
    const std::uint64_t dword = at.get(config_address::REGISTER);
    return {{at.get(config_address::BUS), at.get(config_address::DEVICE), at.get(config_address::FUNCTION)},
            static_cast<std::uint32_t>(dword * 4 + (port_offset - kDataOffset))};
}

} // namespace

std::uint64_t PciRoot::EcamHandler::read(std::uint64_t at, unsigned width_bytes) {
    const auto [address, offset] = ecam_place(at);
    if (width_bytes <= 4) return root_.read_config(address, offset, width_bytes);
    return root_.read_config(address, offset, 4) | std::uint64_t{root_.read_config(address, offset + 4, 4)} << 32;
}

void PciRoot::EcamHandler::write(std::uint64_t at, unsigned width_bytes, std::uint64_t value) {
    const auto [address, offset] = ecam_place(at);
    root_.write_config(address, offset, width_bytes < 4 ? width_bytes : 4, static_cast<std::uint32_t>(value));
    if (width_bytes == 8) root_.write_config(address, offset + 4, 4, static_cast<std::uint32_t>(value >> 32));
}

std::uint64_t PciRoot::PortHandler::read(std::uint64_t at, unsigned width_bytes) {
    if (at == 0 && width_bytes == 4) return root_.config_address();
    if (at == kResetControlOffset && width_bytes == 1 && root_.reset_control_) return root_.reset_control_->read(0, 1);
    const ConfigAddress selected{root_.config_address()};
    if (at < kDataOffset || width_bytes > 4 || !selected.get(config_address::ENABLE)) return all_ones(width_bytes);
    const auto [address, offset] = port_place(selected, at);
    return root_.read_config(address, offset, width_bytes);
}

void PciRoot::PortHandler::write(std::uint64_t at, unsigned width_bytes, std::uint64_t value) {
    if (at == 0 && width_bytes == 4) return root_.set_config_address(static_cast<std::uint32_t>(value));
    if (at == kResetControlOffset && width_bytes == 1 && root_.reset_control_) {
        return root_.reset_control_->write(0, 1, value);
    }
    const ConfigAddress selected{root_.config_address()};
    if (at < kDataOffset || width_bytes > 4 || !selected.get(config_address::ENABLE)) return;
    const auto [address, offset] = port_place(selected, at);
    root_.write_config(address, offset, width_bytes, static_cast<std::uint32_t>(value));
}

} // namespace touka::platform
