#include "devices/passthrough/passthrough_function.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "spec/pci/capability.hpp"
#include "spec/pci/express.hpp"

namespace touka::devices::passthrough {

using namespace spec::pci;
using namespace spec::vfio;

namespace {

using ConfigBytes = std::array<std::uint8_t, kConfigBytes>;

std::uint32_t load(std::span<const std::uint8_t> bytes, std::uint32_t offset, unsigned width_bytes) {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + offset, width_bytes);
    return value;
}

platform::PciIdentity identity_of(std::span<const std::uint8_t> device) {
    return {.vendor_id = static_cast<std::uint16_t>(load(device, offset::kVendorId, 2)),
            .device_id = static_cast<std::uint16_t>(load(device, offset::kDeviceId, 2)),
            .revision_id = device[offset::kRevisionId],
            .class_code = load(device, offset::kRevisionId, 4) >> 8,
            .subsystem_vendor_id = static_cast<std::uint16_t>(load(device, offset::kSubsystemVendorId, 2)),
            .subsystem_id = static_cast<std::uint16_t>(load(device, offset::kSubsystemId, 2))};
}

constexpr std::uint32_t all_ones(unsigned width_bytes) {
    return width_bytes >= 4 ? ~std::uint32_t{0} : (std::uint32_t{1} << (8 * width_bytes)) - 1;
}

} // namespace

std::expected<std::unique_ptr<PassthroughFunction>, std::string>
PassthroughFunction::create(std::string name, DeviceTransport& transport, platform::MsiSink& sink,
                            runtime::Reactor& reactor, PassthroughOptions options) {
    const std::uint64_t bytes =
        std::min<std::uint64_t>(transport.region_bytes(VFIO_PCI_CONFIG_REGION_INDEX), kConfigBytes);
    if (bytes < kConventionalConfigBytes) return std::unexpected("the device has no configuration space");
    ConfigBytes device;
    device.fill(0);
    const auto read =
        transport.read(VFIO_PCI_CONFIG_REGION_INDEX, 0, std::as_writable_bytes(std::span(device).first(bytes)));
    if (!read) return std::unexpected("the device's configuration space cannot be read");
    if ((device[offset::kHeaderType] & 0x7F) != 0) return std::unexpected("the device is a bridge");
    auto made = std::unique_ptr<PassthroughFunction>(
        new PassthroughFunction(std::move(name), transport, sink, reactor, std::move(options), device));
    if (const auto bars = made->define_bars(device); !bars) return std::unexpected(bars.error());
    if (const auto msix = made->define_msix(device); !msix) return std::unexpected(msix.error());
    made->update_interrupts();
    transport.set_listener(made.get());
    return made;
}

PassthroughFunction::PassthroughFunction(std::string name, DeviceTransport& transport, platform::MsiSink& sink,
                                         runtime::Reactor& reactor, PassthroughOptions options,
                                         std::span<const std::uint8_t> device)
    : PciFunction(std::move(name), identity_of(device)), transport_(transport),
      mappings_(transport, options.processors), sink_(sink), places_(find_capabilities(device)),
      filter_(device, places_, transport.interrupts(VFIO_PCI_INTX_IRQ_INDEX).count != 0, config()),
      intx_wire_(reactor, transport, VFIO_PCI_INTX_IRQ_INDEX, [this](std::uint32_t) { on_intx(); }),
      msi_wires_(
          reactor, transport, VFIO_PCI_MSI_IRQ_INDEX, [this](std::uint32_t number) { send_msi(number); }, &sink),
      msix_wires_(
          reactor, transport, VFIO_PCI_MSIX_IRQ_INDEX,
          [this](std::uint32_t number) {
              if (table_) table_->raise(number);
          },
          &sink),
      reactor_(reactor), intx_timer_(reactor.make_timer([this] { intx_waited(); })) {
    if (transport.interrupts(VFIO_PCI_INTX_IRQ_INDEX).count != 0) set_interrupt_pin(device[offset::kInterruptPin]);
    if (options.rom.empty()) return;
    rom_.emplace(std::move(options.rom));
    define_rom(rom_->length_bytes(), *rom_);
}

PassthroughFunction::~PassthroughFunction() {
    transport_.set_listener(nullptr);
    mappings_.allow(false);
    detach();
    intx_wire_.disconnect();
    intx_timer_.reset();
    msi_wires_.disconnect();
    msix_wires_.disconnect();
}

// --- configuration space ---

std::uint32_t PassthroughFunction::read_config(std::uint32_t at, unsigned width_bytes) {
    take_back();
    if (!present()) return all_ones(width_bytes);
    if (at + width_bytes > transport_.region_bytes(VFIO_PCI_CONFIG_REGION_INDEX)) return 0; // a conventional device
    std::uint32_t device = 0;
    const auto result = transport_.read(VFIO_PCI_CONFIG_REGION_INDEX, at,
                                        std::as_writable_bytes(std::span(&device, 1)).first(width_bytes));
    note(result);
    if (!result) return all_ones(width_bytes);
    return filter_.merge(at, width_bytes, device, static_cast<std::uint32_t>(config().read(at, width_bytes)));
}

void PassthroughFunction::write_config(std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    take_back();
    if (!present()) return;
    if (resets_function(at, width_bytes, value)) return reset_device();
    const std::uint32_t power = places_.power_management == 0 ? 0 : places_.power_management + kPmcsrOffset;
    const bool changes_power = power != 0 && at <= power && power < at + width_bytes;
    // Before the device hears of it: what is mapped may not be there while it does not decode it.
    if (changes_power) mappings_.allow(false);
    PciFunction::write_config(at, width_bytes, value);
    forward(at, width_bytes, value);
    if (changes_power) awake_ = is_awake();
    update_interrupts();
    update_mappings();
}

bool PassthroughFunction::resets_function(std::uint32_t at, unsigned width_bytes, std::uint32_t value) const {
    const auto writes = [&](std::uint32_t offset, std::uint32_t bits) {
        return at <= offset && offset < at + width_bytes && (value >> (8 * (offset - at)) & bits) != 0;
    };
    // PCIe Base 5.0 §7.5.3.4: Initiate Function Level Reset is bit 15; AF has its own.
    if (places_.express != 0 && writes(places_.express + kDeviceControlOffset + 1, 0x80)) return transport_.can_reset();
    return places_.advanced_features != 0 && writes(places_.advanced_features + kAdvancedFeaturesControlOffset, 1) &&
           transport_.can_reset();
}

void PassthroughFunction::forward(std::uint32_t at, unsigned width_bytes, std::uint32_t value) {
    // In pieces of bytes that the device hears of.
    for (unsigned first = 0; first < width_bytes;) {
        if (!filter_.forwards(at + first)) {
            ++first;
            continue;
        }
        unsigned count = 1;
        while (first + count < width_bytes && filter_.forwards(at + first + count)) ++count;
        const std::uint32_t part = value >> (8 * first);
        note(transport_.write(VFIO_PCI_CONFIG_REGION_INDEX, at + first,
                              std::as_bytes(std::span(&part, 1)).first(count)));
        first += count;
    }
}

void PassthroughFunction::reset_machine_part() {
    if (table_) table_->reset();
    intx_raised_ = false;
    *msi_.lock() = Msi{};
}

void PassthroughFunction::reset_device() {
    function_level_reset();
    PciFunction::reset();
    update_interrupts();
}

/// Also by the bus above it, or by its slot's power; the configuration space follows.
void PassthroughFunction::function_level_reset() {
    mappings_.allow(false);
    choose_signalling(Signalling::kNone);
    note(transport_.reset());
    awake_ = true;
    reset_machine_part();
}

// --- presence ---

void PassthroughFunction::device_lost() {
    absence_noticed_ = false;
    presence_ = Presence::kGone;
    mappings_.allow(false); // from here on reads give all ones
    const auto tell = *on_presence_.lock();
    if (tell) tell(false);
}

void PassthroughFunction::device_returned() {
    presence_ = Presence::kBack; // the holder of the configuration lock does the rest
    const auto tell = *on_presence_.lock();
    if (tell) tell(true);
}

void PassthroughFunction::notice_absence() {
    if (!gone() || absence_noticed_.exchange(true)) return;
    const auto tell = *on_notice_.lock();
    if (tell) tell();
}

void PassthroughFunction::take_back() {
    if (presence_.load() != Presence::kBack) return;
    intx_wire_.forget();
    msi_wires_.forget();
    msix_wires_.forget();
    signalling_ = Signalling::kNone;
    PciFunction::reset();
    reset_machine_part();
    awake_ = true;
    auto back = Presence::kBack;
    if (!presence_.compare_exchange_strong(back, Presence::kThere)) return; // gone again
    update_interrupts();
}

// --- the whole ---

void PassthroughFunction::pause() {
    if (transport_.can_migrate()) note(transport_.set_migration_state(MigrationState::kStop));
}

void PassthroughFunction::resume() {
    if (transport_.can_migrate()) note(transport_.set_migration_state(MigrationState::kRunning));
}

void PassthroughFunction::reset() { reset_device(); }

migration::Record PassthroughFunction::save() const {
    PassthroughState state{save_function(), table_ ? table_->save() : platform::MsixState{}, {}};
    if (transport_.can_migrate() && transport_.set_migration_state(MigrationState::kStopCopy)) {
        state.device = transport_.read_state().value_or(std::vector<std::byte>());
        (void)transport_.set_migration_state(MigrationState::kStop);
    }
    return migration::save_record(std::string(name()), std::move(state));
}

std::expected<void, migration::RestoreError> PassthroughFunction::restore(const migration::Record& record) {
    const auto state = migration::load_record<PassthroughState>(record);
    if (!state) return std::unexpected(state.error());
    // Without the device's own part there is nothing to go on with.
    const bool loaded = !state->device.empty() && transport_.can_migrate() &&
                        transport_.set_migration_state(MigrationState::kResuming) &&
                        transport_.write_state(state->device);
    if (!loaded) return std::unexpected(migration::RestoreError::kMismatch);
    // Before the device stops: servers of libvfio-user take nothing about interrupts while it is stopped, and one that
    // runs could signal before it is connected.
    mappings_.allow(false);
    choose_signalling(Signalling::kNone);
    if (const auto restored = restore_function(state->function); !restored) return restored;
    if (table_ && !table_->restore(state->msix)) return std::unexpected(migration::RestoreError::kMismatch);
    awake_ = is_awake();
    update_interrupts();
    update_mappings();
    if (!transport_.set_migration_state(MigrationState::kStop)) {
        return std::unexpected(migration::RestoreError::kMismatch);
    }
    return {};
}

DeviceTransport::Result grant_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory) {
    for (const memory::RamRange& range : memory.ranges()) {
        const auto granted = transport.map_dma({.start = memory::Iova{range.start.value},
                                                .length_bytes = range.length_bytes,
                                                .file = memory.fd(),
                                                .file_offset = range.file_offset});
        if (!granted) return granted;
    }
    return {};
}

void take_back_all_memory(DeviceTransport& transport, const memory::GuestMemory& memory) {
    for (const memory::RamRange& range : memory.ranges()) {
        (void)transport.unmap_dma(memory::Iova{range.start.value}, range.length_bytes);
    }
}

} // namespace touka::devices::passthrough
