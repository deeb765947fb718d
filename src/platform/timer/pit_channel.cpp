#include "platform/timer/pit_channel.hpp"

#include <algorithm>

#include "spec/pit/i8254.hpp"

namespace touka::platform {

namespace pit = spec::pit;
using Access = cpu::PitChannelState::Access;

namespace {

using Wide = unsigned __int128;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint32_t kBinaryRange = 0x1'0000, kBcdRange = 10'000;

std::uint64_t to_ticks(std::uint64_t ns) {
    return static_cast<std::uint64_t>(static_cast<Wide>(ns) * pit::kFrequencyHz / kNanosecondsPerSecond);
}

/// The first nanosecond in which `ticks` have passed.
std::uint64_t to_ns(std::uint64_t ticks) {
    return static_cast<std::uint64_t>((static_cast<Wide>(ticks) * kNanosecondsPerSecond + pit::kFrequencyHz - 1) /
                                      pit::kFrequencyHz);
}

std::uint32_t from_bcd(std::uint16_t digits) {
    std::uint32_t value = 0;
    for (int shift = 12; shift >= 0; shift -= 4) value = value * 10 + ((digits >> shift) & 0xFu);
    return value % kBcdRange;
}

std::uint16_t to_bcd(std::uint32_t value) {
    std::uint32_t digits = 0;
    for (unsigned shift = 0; shift < 16; shift += 4, value /= 10) digits |= (value % 10) << shift;
    return static_cast<std::uint16_t>(digits);
}

/// The square wave's counter goes down by two; with an odd count the first step of the high half is one and that of
/// the low half three. (8254 datasheet, mode 3)
std::uint32_t square_wave_count(std::uint32_t count, std::uint32_t phase) {
    const std::uint32_t high_half = (count + 1) / 2;
    const std::uint32_t step = phase < high_half ? phase : phase - high_half;
    if (step == 0) return count;
    if (count % 2 == 0) return count - 2 * step;
    return phase < high_half ? count + 1 - 2 * step : count - 1 - 2 * step;
}

} // namespace

bool PitChannel::gate_stops_counting() const { return state_.mode != 1 && state_.mode != 5; }

std::uint64_t PitChannel::elapsed_ns(std::uint64_t now_ns) const {
    return runs() ? now_ns - load_ns_ : state_.elapsed_ns;
}

std::uint64_t PitChannel::elapsed_ticks(std::uint64_t now_ns) const { return to_ticks(elapsed_ns(now_ns)); }

std::uint16_t PitChannel::count(std::uint64_t now_ns) const {
    std::uint32_t value = state_.count;
    if (state_.counting) {
        const std::uint64_t ticks = elapsed_ticks(now_ns);
        const std::uint32_t range = state_.bcd ? kBcdRange : kBinaryRange;
        const auto phase = static_cast<std::uint32_t>(ticks % state_.count);
        switch (state_.mode) {
            case 2: value = state_.count - phase; break;
            case 3: value = square_wave_count(state_.count, phase); break;
            default: value = (state_.count + range - static_cast<std::uint32_t>(ticks % range)) % range; break;
        }
    }
    return state_.bcd ? to_bcd(value % kBcdRange) : static_cast<std::uint16_t>(value);
}

bool PitChannel::output(std::uint64_t now_ns) const {
    if (!state_.counting) return state_.mode != 0;
    const std::uint64_t ticks = elapsed_ticks(now_ns);
    switch (state_.mode) {
        case 0:
        case 1: return ticks >= state_.count;
        case 2: return !state_.gate || ticks % state_.count != state_.count - 1;
        case 3: return !state_.gate || ticks % state_.count < (state_.count + 1) / 2;
        default: return ticks != state_.count; // modes 4 and 5: low for one clock
    }
}

std::optional<std::uint64_t> PitChannel::next_rise_ns(std::uint64_t now_ns) const {
    if (!runs()) return std::nullopt;
    const std::uint64_t ticks = elapsed_ticks(now_ns);
    std::uint64_t rise = 0;
    switch (state_.mode) {
        case 2:
        case 3: rise = (ticks / state_.count + 1) * state_.count; break;
        case 0:
        case 1: rise = state_.count; break;
        default: rise = std::uint64_t{state_.count} + 1; break;
    }
    if (rise <= ticks) return std::nullopt;
    return load_ns_ + to_ns(rise);
}

void PitChannel::write_control(std::uint8_t control_word, std::uint64_t now_ns) {
    namespace fields = pit::control_word;
    const pit::ControlWord word{control_word};
    if (word.get(fields::RW) == fields::kLatch) return latch_count(now_ns);
    const std::uint8_t mode = word.get(fields::M);
    state_.mode = mode > 5 ? mode & 3 : mode; // 6 and 7 are other names of 2 and 3
    state_.bcd = word.get(fields::BCD);
    state_.access = static_cast<Access>(word.get(fields::RW));
    state_.counting = false;
    state_.read_high_next = state_.write_high_next = false;
    state_.count_latched = state_.status_latched = false;
}

void PitChannel::load(std::uint16_t value, std::uint64_t now_ns) {
    const std::uint32_t number = state_.bcd ? from_bcd(value) : value;
    state_.count = number != 0 ? number : (state_.bcd ? kBcdRange : kBinaryRange);
    state_.counting = state_.mode != 1 && state_.mode != 5; // those wait for their trigger
    load_ns_ = now_ns;
    state_.elapsed_ns = 0;
}

void PitChannel::write(std::uint8_t value, std::uint64_t now_ns) {
    switch (state_.access) {
        case Access::kLow: return load(value, now_ns);
        case Access::kHigh: return load(static_cast<std::uint16_t>(value << 8), now_ns);
        default: break;
    }
    if (!state_.write_high_next) {
        state_.write_low = value;
        state_.write_high_next = true;
        if (state_.mode == 0) state_.counting = false; // OUT goes low at the first byte
        return;
    }
    state_.write_high_next = false;
    load(static_cast<std::uint16_t>(value << 8 | state_.write_low), now_ns);
}

std::uint8_t PitChannel::read(std::uint64_t now_ns) {
    if (state_.status_latched) {
        state_.status_latched = false;
        return state_.latched_status;
    }
    const std::uint16_t value = state_.count_latched ? state_.latched_count : count(now_ns);
    const bool both = state_.access == Access::kLowThenHigh;
    const bool high = both ? state_.read_high_next : state_.access == Access::kHigh;
    if (both) state_.read_high_next = !high;
    if (!both || high) state_.count_latched = false;
    return static_cast<std::uint8_t>(high ? value >> 8 : value);
}

void PitChannel::latch_count(std::uint64_t now_ns) {
    if (state_.count_latched) return; // until it has been read, later latches are ignored
    state_.latched_count = count(now_ns);
    state_.count_latched = true;
}

void PitChannel::latch_status(std::uint64_t now_ns) {
    if (state_.status_latched) return;
    namespace fields = pit::status;
    pit::StatusByte status;
    status.set(fields::BCD, state_.bcd).set(fields::M, state_.mode);
    status.set(fields::RW, static_cast<std::uint8_t>(state_.access));
    status.set(fields::NULL_COUNT, !state_.counting).set(fields::OUTPUT, output(now_ns));
    state_.latched_status = status.raw;
    state_.status_latched = true;
}

void PitChannel::set_gate(bool gate, std::uint64_t now_ns) {
    if (gate == state_.gate) return;
    if (!gate) {
        state_.elapsed_ns = elapsed_ns(now_ns);
        state_.gate = false;
        return;
    }
    state_.gate = true;
    if (state_.mode == 0 || state_.mode == 4) { // counting goes on
        load_ns_ = now_ns - state_.elapsed_ns;
        return;
    }
    load_ns_ = now_ns; // 2, 3: starts over; 1, 5: the trigger
    if (!gate_stops_counting()) state_.counting = true;
}

cpu::PitChannelState PitChannel::state(std::uint64_t now_ns) const {
    cpu::PitChannelState saved = state_;
    saved.elapsed_ns = state_.counting ? elapsed_ns(now_ns) : 0;
    return saved;
}

void PitChannel::set_state(const cpu::PitChannelState& state, std::uint64_t now_ns) {
    state_ = state;
    state_.count = std::clamp(state_.count, std::uint32_t{1}, state_.bcd ? kBcdRange : kBinaryRange);
    if (state_.mode > 5) state_.mode &= 3;
    if (state_.access < Access::kLow || state_.access > Access::kLowThenHigh) state_.access = Access::kLowThenHigh;
    load_ns_ = now_ns - state_.elapsed_ns;
}

} // namespace touka::platform
