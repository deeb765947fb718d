// High precision event timers: a 64-bit counter of 100 MHz and three comparators. (IA-PC HPET Specification 1.0a)
// Absent: FSB (message) delivery, which the capabilities do not offer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/timer/hpet_comparator.hpp"
#include "runtime/timers.hpp"

namespace touka::platform {

/// Where its interrupts go. All borrowed.
struct HpetLines {
    InterruptLine* irq0 = nullptr; ///< comparator 0 in legacy replacement
    InterruptLine* irq8 = nullptr; ///< comparator 1 in legacy replacement
    /// GSI kHpetFirstGsi and following, which comparators can choose without it.
    std::array<InterruptLine*, 4> gsi{};
};
inline constexpr unsigned kHpetFirstGsi = 20;

/// Saved state of the block.
struct HpetState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint64_t configuration = 0;
    std::uint64_t interrupt_status = 0;
    std::uint64_t counter = 0;
    std::array<HpetComparatorState, 3> comparators{};
    void describe(auto& archive) { archive(configuration, interrupt_status, counter, comparators); }
    bool operator==(const HpetState&) const = default;
};

/// Any thread; one lock, above those of PIT, RTC and the interrupt chips. Address: spec::hpet::kBase, kLength, memory.
class Hpet final : public IoHandler, public Device {
public:
    static constexpr std::uint64_t kTickNs = 10;

    /// @param on_legacy_replacement called with our lock when comparators 0 and 1 take over the interrupts of PIT and
    /// RTC (true) or give them back: Pit8254::set_interrupt_disconnected and Rtc's.
    Hpet(HpetLines lines, runtime::Timers& timers, std::function<void(bool)> on_legacy_replacement);

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    [[nodiscard]] std::string_view name() const override { return "hpet"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    // @pre for all of these: mutex_ is held.
    [[nodiscard]] bool enabled() const;
    [[nodiscard]] bool legacy_replacement() const;
    [[nodiscard]] std::uint64_t counter(std::uint64_t now_ns) const;
    void set_counter(std::uint64_t value, std::uint64_t now_ns);
    [[nodiscard]] std::uint64_t read_register(std::uint64_t offset, std::uint64_t now_ns) const;
    void write_register(std::uint64_t offset, std::uint64_t value, std::uint64_t now_ns);
    void write_configuration(std::uint64_t value, std::uint64_t now_ns);
    void write_comparator_register(std::uint64_t offset, std::uint64_t value);
    /// Interrupts of comparators whose time has come.
    void service(std::uint64_t now_ns);
    void arm(std::uint64_t now_ns);
    void fire(unsigned index);
    [[nodiscard]] InterruptLine* line_of(unsigned index) const;
    /// Level-triggered lines follow the status bits.
    void update_lines();

    const HpetLines lines_;
    runtime::Timers& timers_;
    const std::function<void(bool)> on_legacy_replacement_;
    mutable std::mutex mutex_; // guards what follows
    std::uint64_t configuration_ = 0;
    std::uint64_t interrupt_status_ = 0;
    std::uint64_t base_counter_ = 0; // the counter at base_ns_; while halted the counter
    std::uint64_t base_ns_ = 0;
    std::array<HpetComparator, 3> comparators_;
    std::array<std::uint64_t, 3> match_ns_{};               // when each matches next; 0: not
    std::array<std::unique_ptr<runtime::Timer>, 3> alarms_; // last: their callback uses all of the above
};

} // namespace touka::platform
