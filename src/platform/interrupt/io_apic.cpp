#include "platform/interrupt/io_apic.hpp"

namespace touka::platform {

using spec::apic::IoApicRegister;
using spec::apic::IoApicWindow;
using spec::apic::RedirectionEntry;
namespace redirection = spec::apic::redirection;

namespace {

/// The message that stands for an entry. (82093AA §3.2.4; SDM vol. 3 §11.11; VT-d Rev. 4.1 §5.1.5.1) Bits 63:48 go to
/// 19:4 of the address, bit 11 to bit 2, in either format of the entry.
MsiMessage message_of(RedirectionEntry entry) {
    namespace address = spec::apic::message_address;
    namespace data = spec::apic::message_data;
    const std::uint64_t destination = entry.raw >> 48 << 4;
    return {.address = spec::apic::MessageAddress{destination}
                           .set(address::PREFIX, address::kPrefix)
                           .set(address::DESTINATION_MODE, entry.get(redirection::DESTMOD))
                           .raw,
            .data = spec::apic::MessageData{}
                        .set(data::VECTOR, entry.get(redirection::INTVEC))
                        .set(data::DELIVERY_MODE, entry.get(redirection::DELMOD))
                        .set(data::LEVEL, entry.get(redirection::TRIGGER_MODE))
                        .set(data::TRIGGER_MODE, entry.get(redirection::TRIGGER_MODE))
                        .raw};
}

} // namespace

IoApic::IoApic(LocalApicBus& bus) : bus_(bus) { bus.connect(*this); }

void IoApic::reset() {
    const std::scoped_lock lock(mutex_);
    const std::uint32_t lines = state_.asserted_lines; // the wires are not ours
    state_ = {};
    state_.asserted_lines = lines;
}

void IoApic::set_pin(unsigned pin, bool asserted) {
    const std::uint32_t bit = 1u << pin;
    const std::scoped_lock lock(mutex_);
    const bool was_asserted = state_.asserted_lines & bit;
    if (was_asserted == asserted) return;
    state_.asserted_lines ^= bit;
    if (!asserted) return;
    const RedirectionEntry entry{state_.redirection[pin]};
    if (entry.get(redirection::TRIGGER_MODE))
        deliver_if_level_pending(pin);
    else if (!entry.get(redirection::MASK)) // an edge at a masked pin is lost (§3.2.4)
        deliver(pin);
}

void IoApic::deliver(unsigned pin) {
    RedirectionEntry entry{state_.redirection[pin]};
    // The EOI may come from another thread before we are back: it waits for our lock and finds Remote IRR set.
    const bool accepted = send(entry);
    if (accepted && entry.get(redirection::TRIGGER_MODE))
        state_.redirection[pin] = entry.set(redirection::REMOTE_IRR, true).raw;
}

bool IoApic::send(RedirectionEntry entry) {
    if (messages_ != nullptr) {
        messages_->send(message_of(entry));
        return true;
    }
    InterruptMessage message;
    message.destination = entry.get(redirection::DEST) | entry.get(redirection::EXTENDED_DEST) << 8;
    message.logical = entry.get(redirection::DESTMOD);
    if (!message.logical && message.destination == spec::apic::kBroadcast8)
        message.destination = spec::apic::kBroadcast32;
    message.mode = entry.get(redirection::DELMOD);
    message.vector = entry.get(redirection::INTVEC);
    message.level = entry.get(redirection::TRIGGER_MODE);
    return bus_.deliver(message);
}

void IoApic::deliver_if_level_pending(unsigned pin) {
    const RedirectionEntry entry{state_.redirection[pin]};
    if (!(state_.asserted_lines & (1u << pin))) return;
    if (!entry.get(redirection::TRIGGER_MODE) || entry.get(redirection::MASK) || entry.get(redirection::REMOTE_IRR))
        return;
    deliver(pin);
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
    const std::scoped_lock lock(mutex_);
    for (unsigned pin = 0; pin < spec::apic::kIoApicPinCount; ++pin) {
        RedirectionEntry entry{state_.redirection[pin]};
        if (entry.get(redirection::INTVEC) != vector || !entry.get(redirection::REMOTE_IRR)) continue;
        state_.redirection[pin] = entry.set(redirection::REMOTE_IRR, false).raw;
        deliver_if_level_pending(pin);
    }
}

std::uint32_t IoApic::read_register() const {
    const std::uint32_t index = state_.register_select;
    switch (static_cast<IoApicRegister>(index)) {
        case IoApicRegister::IOAPICID:
        case IoApicRegister::IOAPICARB: return std::uint32_t{state_.id} << spec::apic::kIoApicIdShift;
        case IoApicRegister::IOAPICVER: return spec::apic::kIoApicVersion;
        default: break;
    }
    const auto first = static_cast<std::uint32_t>(IoApicRegister::IOREDTBL);
    if (index < first || index >= first + 2 * spec::apic::kIoApicPinCount) return 0;
    const std::uint64_t entry = state_.redirection[(index - first) / 2];
    return static_cast<std::uint32_t>(index % 2 ? entry >> 32 : entry);
}

void IoApic::write_register(std::uint32_t value) {
    const std::uint32_t index = state_.register_select;
    if (index == static_cast<std::uint32_t>(IoApicRegister::IOAPICID)) {
        state_.id = static_cast<std::uint8_t>((value >> spec::apic::kIoApicIdShift) & 0xF);
        return;
    }
    const auto first = static_cast<std::uint32_t>(IoApicRegister::IOREDTBL);
    if (index < first || index >= first + 2 * spec::apic::kIoApicPinCount) return;
    const unsigned pin = (index - first) / 2;
    const unsigned shift = index % 2 ? 32 : 0;
    const std::uint64_t written = (std::uint64_t{0xFFFF'FFFF} << shift) & redirection::kWritable;
    RedirectionEntry entry{(state_.redirection[pin] & ~written) | ((std::uint64_t{value} << shift) & written)};
    // Linux makes a pin edge-triggered for a moment to be rid of a remote IRR whose EOI went astray.
    if (!entry.get(redirection::TRIGGER_MODE)) entry.set(redirection::REMOTE_IRR, false);
    state_.redirection[pin] = entry.raw;
    deliver_if_level_pending(pin);
}

std::uint64_t IoApic::read(std::uint64_t offset, unsigned) {
    const std::scoped_lock lock(mutex_);
    switch (static_cast<IoApicWindow>(offset)) {
        case IoApicWindow::IOREGSEL: return state_.register_select;
        case IoApicWindow::IOWIN: return read_register();
    }
    return 0;
}

void IoApic::write(std::uint64_t offset, unsigned, std::uint64_t value) {
    const std::scoped_lock lock(mutex_);
    switch (static_cast<IoApicWindow>(offset)) {
        case IoApicWindow::IOREGSEL: state_.register_select = static_cast<std::uint8_t>(value); break;
        case IoApicWindow::IOWIN: write_register(static_cast<std::uint32_t>(value)); break;
    }
}

migration::Record IoApic::save() const {
    const std::scoped_lock lock(mutex_);
    return migration::save_record("ioapic", state_);
}

std::expected<void, migration::RestoreError> IoApic::restore(const migration::Record& record) {
    const auto state = migration::load_record<cpu::IoApicState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    state_ = *state;
    state_.register_select &= 0xFF;
    state_.asserted_lines &= (1u << spec::apic::kIoApicPinCount) - 1;
    for (auto& entry : state_.redirection)
        entry &= redirection::kWritable | RedirectionEntry{}.set(redirection::REMOTE_IRR, true).raw;
    return {};
}

} // namespace touka::platform
