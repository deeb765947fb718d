#pragma once

#include <cstdint>

#include "platform/pci/config_space.hpp"
#include "spec/pci/express.hpp"

namespace touka::platform {

/// The slot behind a port, as its Slot and Link registers show it: whether a card is in, whether it has power, and the
/// events that software waits for. A button asks software to let the card go; it does so by switching the power off.
/// Under the configuration lock. (PCI Express Base 5.0 §6.7, §7.5.3.8 to §7.5.3.11)
/// Absent: MRL sensor, power faults, electromechanical interlock; commands complete at once and do not say so.
class HotPlugSlot {
public:
    enum class Change { kNone, kPowerOff, kPowerOn };

    /// Defines the registers. @param express the offset of the PCI Express capability.
    HotPlugSlot(ConfigSpace& config, std::uint32_t express, std::uint16_t physical_number);

    /// A card is there, or none: at once, as when somebody plugs it or pulls it out.
    void set_occupied(bool occupied);
    /// The attention button: a wish to take the card out. Nothing happens unless software listens.
    void press_button();
    /// After software wrote Slot Control or Slot Status. @return what that did to the card's power.
    [[nodiscard]] Change written();
    /// The registers have reset values or those of a saved state; the card is in, or not, as before.
    void registers_replaced();

    [[nodiscard]] bool occupied() const { return occupied_; }
    /// A card answers only when it has power.
    [[nodiscard]] bool powered() const;
    /// Software has not seen the button yet, or blinks with the power indicator to say that it is about to follow:
    /// until then a second press takes the wish back. (§6.7.1.5)
    [[nodiscard]] bool button_pending() const;
    enum class Indicator { kOn, kBlinking, kOff };
    [[nodiscard]] Indicator power_indicator() const;
    [[nodiscard]] Indicator attention_indicator() const;
    /// An event is there that software wants to be interrupted for.
    [[nodiscard]] bool wants_interrupt() const;

private:
    [[nodiscard]] spec::pci::SlotControl control() const;
    [[nodiscard]] spec::pci::SlotStatus status() const;
    void show_presence();
    void show_link();
    void raise(std::uint16_t events);

    ConfigSpace& config_;
    std::uint32_t express_;
    bool occupied_ = false;
    bool link_active_ = false;
    bool was_powered_ = true;
};

} // namespace touka::platform
