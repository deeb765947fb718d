#include "platform/pci/hot_plug_slot.hpp"

#include <utility>

namespace touka::platform {

using namespace spec::pci;

namespace {

template <class Field>
constexpr std::uint16_t bit(Field field) {
    return SlotStatus{}.set(field, true).raw;
}

SlotControl reset_control() {
    SlotControl control;
    return control.set(slot_control::ATTENTION_INDICATOR_CONTROL, slot_control::kIndicatorOff)
        .set(slot_control::POWER_INDICATOR_CONTROL, slot_control::kIndicatorOn);
}

/// A value that is reserved shows nothing.
constexpr HotPlugSlot::Indicator indicator_of(std::uint8_t value) {
    if (value == slot_control::kIndicatorOn) return HotPlugSlot::Indicator::kOn;
    return value == slot_control::kIndicatorBlink ? HotPlugSlot::Indicator::kBlinking : HotPlugSlot::Indicator::kOff;
}

} // namespace

HotPlugSlot::HotPlugSlot(ConfigSpace& config, std::uint32_t express, std::uint16_t physical_number)
    : config_(config), express_(express) {
    SlotCapabilities capabilities;
    capabilities.set(slot_capabilities::ATTENTION_BUTTON_PRESENT, true)
        .set(slot_capabilities::POWER_CONTROLLER_PRESENT, true)
        .set(slot_capabilities::ATTENTION_INDICATOR_PRESENT, true)
        .set(slot_capabilities::POWER_INDICATOR_PRESENT, true)
        .set(slot_capabilities::HOT_PLUG_CAPABLE, true)
        .set(slot_capabilities::NO_COMMAND_COMPLETED_SUPPORT, true)
        .set(slot_capabilities::PHYSICAL_SLOT_NUMBER, physical_number);
    config_.define(express_ + kSlotCapabilitiesOffset, 4, capabilities.raw);
    config_.define(express_ + kSlotControlOffset, 2, reset_control().raw, slot_control::kWritable);
    config_.define(express_ + kSlotStatusOffset, 2, 0, 0, slot_status::kEvents);
    show_link();
}

SlotControl HotPlugSlot::control() const {
    return SlotControl{static_cast<std::uint16_t>(config_.read(express_ + kSlotControlOffset, 2))};
}

SlotStatus HotPlugSlot::status() const {
    return SlotStatus{static_cast<std::uint16_t>(config_.read(express_ + kSlotStatusOffset, 2))};
}

bool HotPlugSlot::powered() const { return !control().get(slot_control::POWER_CONTROLLER_CONTROL); }

HotPlugSlot::Indicator HotPlugSlot::power_indicator() const {
    return indicator_of(control().get(slot_control::POWER_INDICATOR_CONTROL));
}

HotPlugSlot::Indicator HotPlugSlot::attention_indicator() const {
    return indicator_of(control().get(slot_control::ATTENTION_INDICATOR_CONTROL));
}

bool HotPlugSlot::button_pending() const {
    return status().get(slot_status::ATTENTION_BUTTON_PRESSED) || power_indicator() == Indicator::kBlinking;
}

void HotPlugSlot::raise(std::uint16_t events) {
    const std::uint32_t at = express_ + kSlotStatusOffset;
    config_.set(at, 2, config_.read(at, 2) | events);
}

void HotPlugSlot::show_presence() {
    const std::uint32_t at = express_ + kSlotStatusOffset;
    SlotStatus status{static_cast<std::uint16_t>(config_.read(at, 2))};
    config_.set(at, 2, status.set(slot_status::PRESENCE_DETECT_STATE, occupied_).raw);
}

void HotPlugSlot::show_link() {
    const bool active = occupied_ && powered();
    LinkStatus link;
    if (active) {
        link.set(link_status::CURRENT_LINK_SPEED, kLinkSpeed16Gt)
            .set(link_status::NEGOTIATED_LINK_WIDTH, kLinkWidth4)
            .set(link_status::DATA_LINK_LAYER_LINK_ACTIVE, true);
    }
    config_.set(express_ + kLinkStatusOffset, 2, link.raw);
    if (active != link_active_) raise(bit(slot_status::DATA_LINK_LAYER_STATE_CHANGED));
    link_active_ = active;
}

void HotPlugSlot::set_occupied(bool occupied) {
    if (occupied == occupied_) return;
    occupied_ = occupied;
    show_presence();
    raise(bit(slot_status::PRESENCE_DETECT_CHANGED));
    show_link();
}

void HotPlugSlot::press_button() { raise(bit(slot_status::ATTENTION_BUTTON_PRESSED)); }

HotPlugSlot::Change HotPlugSlot::written() {
    show_link();
    const bool powered_now = powered();
    if (std::exchange(was_powered_, powered_now) == powered_now) return Change::kNone;
    return powered_now ? Change::kPowerOn : Change::kPowerOff;
}

void HotPlugSlot::registers_replaced() {
    was_powered_ = powered();
    link_active_ = occupied_ && was_powered_; // no event
    show_presence();
    show_link();
}

bool HotPlugSlot::wants_interrupt() const {
    const SlotControl wanted = control();
    const SlotStatus seen = status();
    if (!wanted.get(slot_control::HOT_PLUG_INTERRUPT_ENABLE)) return false;
    return (wanted.get(slot_control::ATTENTION_BUTTON_PRESSED_ENABLE) &&
            seen.get(slot_status::ATTENTION_BUTTON_PRESSED)) ||
           (wanted.get(slot_control::PRESENCE_DETECT_CHANGED_ENABLE) &&
            seen.get(slot_status::PRESENCE_DETECT_CHANGED)) ||
           (wanted.get(slot_control::DATA_LINK_LAYER_STATE_CHANGED_ENABLE) &&
            seen.get(slot_status::DATA_LINK_LAYER_STATE_CHANGED));
}

} // namespace touka::platform
