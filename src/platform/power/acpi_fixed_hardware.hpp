// ACPI fixed hardware: PM1 events and control, the PM timer and general-purpose events. (ACPI 6.4 §4.8; places in the
// block: Intel ICH9 datasheet, order number 316972-004, §13.8.3)
// Absent: an SMI command port (the machine is always in ACPI mode, SCI_EN reads 1), sleep states other than soft off
// (their SLP_EN does nothing), sleep button and RTC alarm as fixed events, the global lock's release.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/timer/pm_timer.hpp"
#include "runtime/timers.hpp"
#include "spec/acpi/fixed_hardware.hpp"

namespace touka::platform {

/// Saved state of the block.
struct AcpiFixedHardwareState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint16_t pm1_status = 0, pm1_enable = 0, pm1_control = 0;
    std::uint64_t gpe0_status = 0, gpe0_enable = 0;
    std::uint64_t timer_elapsed_ns = 0; ///< since the PM timer was 0
    void describe(auto& archive) {
        archive(pm1_status, pm1_enable, pm1_control, gpe0_status, gpe0_enable, timer_elapsed_ns);
    }
    bool operator==(const AcpiFixedHardwareState&) const = default;
};

/// Any thread; one lock, above those of the interrupt chips. Ports: spec::acpi::kPmBase, kPmLength.
class AcpiFixedHardware final : public IoHandler, public Device {
public:
    /// @param sci the system control interrupt, GSI spec::acpi::kSciIrq, level-triggered. Outlives this.
    /// @param on_power_off the guest asked for soft off (S5). Called on a vCPU's thread without our lock; must not
    /// wait.
    AcpiFixedHardware(InterruptLine& sci, runtime::Timers& timers, PmTimer::Width timer_width,
                      std::function<void()> on_power_off);

    /// The user presses the power button for a moment: the guest hears of it by SCI. Any thread.
    void press_power_button();
    /// Sets a general-purpose event's status bit. @pre event < 64. Any thread.
    void raise_general_purpose_event(unsigned event);

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    [[nodiscard]] std::string_view name() const override { return "acpi-pm"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    // @pre for all of these: mutex_ is held.
    [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset, std::uint64_t now_ns) const;
    /// @return whether the guest asked for soft off
    [[nodiscard]] bool write_byte(std::uint64_t offset, std::uint8_t value);
    /// Notes a carry of the PM timer since the last time, sets the SCI's level, and arms or disarms the alarm.
    void update(std::uint64_t now_ns);

    InterruptLine& sci_;
    runtime::Timers& timers_;
    const std::function<void()> on_power_off_;
    mutable std::mutex mutex_; // guards what follows
    AcpiFixedHardwareState state_;
    PmTimer timer_;
    std::uint64_t carries_seen_ = 0;
    bool armed_ = false;
    std::unique_ptr<runtime::Timer> alarm_; // last: its callback uses all of the above
};

} // namespace touka::platform
