// One counter of the 8254. (Intel 8254 datasheet, order number 231164-005, "Mode Definitions")
// Absent: a new count takes effect at once, not at the end of the running period (modes 2, 3) or at the next trigger
// (modes 1, 5, where it ends a running pulse); the two clocks between writing a count and counting it.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/interrupt_chip_state.hpp"

namespace touka::platform {

/// Works out count and output from the time since the count was loaded; nothing ticks. No lock: Pit8254's.
/// All times are of one monotonic clock, in nanoseconds.
class PitChannel {
public:
    void write_control(std::uint8_t control_word, std::uint64_t now_ns);
    void write(std::uint8_t value, std::uint64_t now_ns);
    [[nodiscard]] std::uint8_t read(std::uint64_t now_ns);
    void latch_count(std::uint64_t now_ns);
    void latch_status(std::uint64_t now_ns);
    void set_gate(bool gate, std::uint64_t now_ns);

    [[nodiscard]] bool gate() const { return state_.gate; }
    [[nodiscard]] std::uint8_t mode() const { return state_.mode; }
    [[nodiscard]] bool output(std::uint64_t now_ns) const;
    /// When OUT rises next, later than now; empty: never as things are.
    [[nodiscard]] std::optional<std::uint64_t> next_rise_ns(std::uint64_t now_ns) const;

    [[nodiscard]] cpu::PitChannelState state(std::uint64_t now_ns) const;
    /// Fields out of range are cut to size.
    void set_state(const cpu::PitChannelState& state, std::uint64_t now_ns);

private:
    [[nodiscard]] bool gate_stops_counting() const;
    [[nodiscard]] bool runs() const { return state_.counting && (state_.gate || !gate_stops_counting()); }
    [[nodiscard]] std::uint64_t elapsed_ns(std::uint64_t now_ns) const;
    [[nodiscard]] std::uint64_t elapsed_ticks(std::uint64_t now_ns) const;
    [[nodiscard]] std::uint16_t count(std::uint64_t now_ns) const;
    void load(std::uint16_t value, std::uint64_t now_ns);

    cpu::PitChannelState state_; // elapsed_ns there is valid while the gate stops counting
    std::uint64_t load_ns_ = 0;  // may lie before the clock's epoch (modulo 2^64) after set_state
};

} // namespace touka::platform
