// The real-time clock and CMOS memory. (Motorola MC146818 datasheet, 1984; Intel ICH9 datasheet §13.6)
// Absent: the square wave output, daylight saving (DSE is storage), a day of the week of one's own (it follows the
// date), other crystals than 32.768 kHz, the NMI gate in bit 7 of the index port.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "devices/rtc/calendar.hpp"
#include "platform/byte_registers.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "runtime/timers.hpp"
#include "spec/rtc/mc146818.hpp"

namespace touka::devices {

/// Saved state. The clock goes on with the host's: a guest that was away for an hour is not an hour late.
struct RtcState {
    static constexpr std::uint16_t kVersion = 1;
    std::array<std::uint8_t, spec::rtc::kCmosSize> cmos{};
    std::uint8_t index = 0;
    std::int64_t ahead_ns = 0; ///< the guest's clock minus the host's UTC
    bool interrupt_disconnected = false;
    void describe(auto& archive) { archive(cmos, index, ahead_ns, interrupt_disconnected); }
    bool operator==(const RtcState&) const = default;
};

/// Any thread; one lock, above those of the interrupt chips. Ports: spec::rtc::kPort, kPortCount.
/// Nothing ticks: the time is worked out when somebody looks, alarms are armed while an interrupt is enabled.
class Rtc final : public platform::ByteRegisters, public platform::Device {
public:
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    using UtcClock = std::function<std::int64_t()>;
    /// @param irq8 outlives this, as `timers` does.
    /// @param utc_now read at construction and restore; in between the clock runs with `timers`.
    Rtc(platform::InterruptLine& irq8, runtime::Timers& timers, UtcClock utc_now);

    /// The HPET's legacy replacement takes the interrupt over, or gives it back. Any thread.
    void set_interrupt_disconnected(bool disconnected);

    [[nodiscard]] std::string_view name() const override { return "rtc"; }
    /// Interrupts off; time and memory have a battery.
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    using Index = spec::rtc::Index;
    [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    // @pre for all of these: mutex_ is held.
    [[nodiscard]] std::uint8_t& at(Index index) { return cmos_[static_cast<std::size_t>(index)]; }
    [[nodiscard]] std::uint8_t at(Index index) const { return cmos_[static_cast<std::size_t>(index)]; }
    [[nodiscard]] bool divider_runs() const;
    /// Neither stopped by SET nor by the divider.
    [[nodiscard]] bool time_runs() const;
    [[nodiscard]] std::int64_t guest_ns() const;
    [[nodiscard]] std::uint8_t encode(unsigned value) const;
    [[nodiscard]] unsigned decode(std::uint8_t value) const;
    [[nodiscard]] std::uint8_t encode_hours(unsigned hours) const;
    [[nodiscard]] unsigned decode_hours(std::uint8_t value) const;
    /// The current time into the time registers.
    void show_time();
    /// The time registers become the current time.
    void take_time();
    [[nodiscard]] std::uint8_t read_register(std::uint8_t index);
    void write_register(std::uint8_t index, std::uint8_t value);
    void write_register_a(std::uint8_t value);
    void write_register_b(std::uint8_t value);
    [[nodiscard]] bool alarm_between(std::int64_t after_s, std::int64_t last_s) const;
    [[nodiscard]] std::int64_t periods(std::int64_t time_ns) const;
    /// Sets the flags of what happened since the last time.
    void catch_up();
    void update_interrupt();

    platform::InterruptLine& irq8_;
    runtime::Timers& timers_;
    const UtcClock utc_now_;
    mutable std::mutex mutex_; // guards what follows
    std::array<std::uint8_t, spec::rtc::kCmosSize> cmos_{};
    std::uint8_t index_ = 0;
    std::int64_t offset_ns_ = 0; // guest's clock minus timers_.now_ns()
    std::int64_t last_second_ = 0, last_period_ = 0;
    bool disconnected_ = false;
    std::unique_ptr<runtime::Timer> alarm_; // last: its callback uses all of the above
};

} // namespace touka::devices
