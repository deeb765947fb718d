#include "platform/pci/pci_root.hpp"

#include <cassert>

namespace touka::platform {

using namespace spec::pci;

namespace {

constexpr PciAddress kHostBridgeAddress{0, 0, 0}, kIsaBridgeAddress{0, 0x1F, 0};
constexpr std::uint64_t kConfigPortBytes = 8, kResetControlOffset = 1,
                        kDataOffset = kConfigDataPort - kConfigAddressPort;
/// 64-bit BARs up to this size go below 4 GiB, where every system reaches them.
constexpr std::uint64_t kLowBarLimitBytes = 0x1000'0000;

constexpr std::uint32_t all_ones(unsigned width_bytes) {
    return width_bytes >= 4 ? ~std::uint32_t{0} : (std::uint32_t{1} << (8 * width_bytes)) - 1;
}

} // namespace

PciRoot::PciRoot(AddressSpace& memory, AddressSpace& ports, const PciRootConfig& config)
    : memory_(memory), ports_(ports), reset_control_(config.reset_control), router_(config.interrupt_inputs),
      memory32_(config.memory32), memory64_(config.memory64), io_(config.ports),
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
    for (Slot& each : slots_) {
        if (each.function) each.function->detach();
    }
}

bool PciRoot::exists(const PciAddress& address) {
    return address.bus == 0 && address.device < kDevicesPerBus && address.function < kFunctionsPerDevice;
}

PciRoot::Slot& PciRoot::slot(const PciAddress& address) {
    return slots_.at(address.device * kFunctionsPerDevice + address.function);
}

std::expected<void, PciError> PciRoot::plug(const PciAddress& address, PciFunction& function) {
    if (!exists(address)) return std::unexpected(PciError::kNoSuchPlace);
    const std::scoped_lock lock(mutex_);
    Slot& place = slot(address);
    if (place.function) return std::unexpected(PciError::kOccupied);
    place.function = &function;
    if (!assign_addresses(place)) {
        release_addresses(place);
        place.function = nullptr;
        return std::unexpected(PciError::kNoAddressesLeft);
    }
    PciFunction::Attachment attachment{&memory_, &ports_, nullptr, 0};
    const std::uint32_t pin = function.read_config(offset::kInterruptPin, 1);
    if (pin != 0) {
        attachment.interrupt = &router_.make_wire(address.device, pin);
        attachment.interrupt_line = static_cast<std::uint8_t>(pci_pin_gsi(address.device, pin));
    }
    function.attach(attachment);
    return {};
}

void PciRoot::unplug(const PciAddress& address) {
    if (!exists(address)) return;
    const std::scoped_lock lock(mutex_);
    Slot& place = slot(address);
    if (!place.function) return;
    place.function->detach();
    release_addresses(place);
    place.function = nullptr;
}

BarAllocator& PciRoot::allocator_for(const PciFunction::Bar& bar) {
    if (bar.kind == BarKind::kPorts) return io_;
    const bool high = bar.kind == BarKind::kMemory64Prefetchable ||
                      (bar.kind == BarKind::kMemory64 && bar.length_bytes > kLowBarLimitBytes);
    return high ? memory64_ : memory32_;
}

bool PciRoot::assign_addresses(Slot& place) {
    const auto bars = place.function->bars();
    for (unsigned i = 0; i < bars.size(); ++i) {
        if (bars[i].length_bytes == 0) continue;
        BarAllocator& allocator = allocator_for(bars[i]);
        const auto address = allocator.allocate(bars[i].length_bytes);
        if (!address) return false;
        place.addresses.emplace_back(&allocator, *address);
        place.function->place_bar(i, *address);
    }
    return true;
}

void PciRoot::release_addresses(Slot& place) {
    for (const auto& [allocator, address] : place.addresses) allocator->release(address);
    place.addresses.clear();
}

void PciRoot::move_ecam(std::optional<PciWindow> window) {
    if (ecam_window_) memory_.remove(ecam_window_->first);
    ecam_window_.reset();
    // Over something else: that stays, and the window is reached through the ports alone.
    if (window && memory_.add(window->first, window->length_bytes, ecam_)) ecam_window_ = window;
}

std::uint32_t PciRoot::read_config(const PciAddress& address, std::uint32_t at, unsigned width_bytes) {
    const std::scoped_lock lock(mutex_);
    PciFunction* const function = exists(address) ? slot(address).function : nullptr;
    if (!function) return all_ones(width_bytes);
    std::uint32_t value = function->read_config(at, width_bytes);
    if (address.function == 0 && at <= offset::kHeaderType && offset::kHeaderType < at + width_bytes) {
        bool multi_function = false;
        for (std::uint8_t i = 1; i < kFunctionsPerDevice; ++i) {
            multi_function |= slot({address.bus, address.device, i}).function != nullptr;
        }
        if (multi_function) value |= std::uint32_t{kHeaderMultiFunction} << (8 * (offset::kHeaderType - at));
    }
    return value;
}

void PciRoot::write_config(const PciAddress& address, std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    const std::scoped_lock lock(mutex_);
    PciFunction* const function = exists(address) ? slot(address).function : nullptr;
    if (function) function->write_config(at, width_bytes, value);
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
