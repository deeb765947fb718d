#include "devices/rtc/rtc.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace touka::devices {

namespace rtc = spec::rtc;
using rtc::Index;

namespace {

constexpr std::int64_t kSecondNs = rtc::kNanosecondsPerSecond;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::uint8_t kInterruptBits = rtc::b::UIE | rtc::b::AIE | rtc::b::PIE;

std::int64_t floor_div(std::int64_t value, std::int64_t divisor) {
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

/// Nanoseconds since the second began.
std::int64_t phase_of(std::int64_t time_ns) {
    const std::int64_t rest = time_ns % kSecondNs;
    return rest < 0 ? rest + kSecondNs : rest;
}

bool is_time_register(std::uint8_t index) {
    switch (static_cast<Index>(index)) {
        case Index::SECONDS:
        case Index::MINUTES:
        case Index::HOURS:
        case Index::DAY_OF_WEEK:
        case Index::DAY_OF_MONTH:
        case Index::MONTH:
        case Index::YEAR:
        case Index::CENTURY: return true;
        default: return false;
    }
}

} // namespace

Rtc::Rtc(platform::InterruptLine& irq8, runtime::Timers& timers, UtcClock utc_now)
    : irq8_(irq8), timers_(timers), utc_now_(std::move(utc_now)), alarm_(timers.make_timer([this] {
          const std::scoped_lock lock(mutex_);
          catch_up();
          update_interrupt();
      })) {
    at(Index::REGISTER_A) = rtc::a::kReset;
    at(Index::REGISTER_B) = rtc::b::HOURS_24;
    offset_ns_ = utc_now_() - static_cast<std::int64_t>(timers_.now_ns());
    last_second_ = floor_div(guest_ns(), kSecondNs);
    last_period_ = periods(guest_ns());
}

std::int64_t Rtc::guest_ns() const {
    // Modulo 2^64: a guest may set its clock to any year.
    return static_cast<std::int64_t>(timers_.now_ns() + static_cast<std::uint64_t>(offset_ns_));
}

bool Rtc::divider_runs() const { return rtc::RegisterA{at(Index::REGISTER_A)}.get(rtc::a::DV) == rtc::a::kDividerRuns; }

bool Rtc::time_runs() const { return divider_runs() && !(at(Index::REGISTER_B) & rtc::b::SET); }

std::uint8_t Rtc::encode(unsigned value) const {
    if (at(Index::REGISTER_B) & rtc::b::DM) return static_cast<std::uint8_t>(value);
    return static_cast<std::uint8_t>(value / 10 * 16 + value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
    if (at(Index::REGISTER_B) & rtc::b::DM) return value;
    return (value >> 4) * 10u + (value & 0xFu);
}

std::uint8_t Rtc::encode_hours(unsigned hours) const {
    if (at(Index::REGISTER_B) & rtc::b::HOURS_24) return encode(hours);
    const std::uint8_t face = encode(hours % 12 == 0 ? 12 : hours % 12);
    return hours >= 12 ? face | rtc::kPm : face;
}

unsigned Rtc::decode_hours(std::uint8_t value) const {
    if (at(Index::REGISTER_B) & rtc::b::HOURS_24) return decode(value);
    const unsigned face = decode(static_cast<std::uint8_t>(value & ~rtc::kPm)) % 12;
    return value & rtc::kPm ? face + 12 : face;
}

void Rtc::show_time() {
    const CalendarTime time = to_calendar(floor_div(guest_ns(), kSecondNs));
    at(Index::SECONDS) = encode(time.seconds);
    at(Index::MINUTES) = encode(time.minutes);
    at(Index::HOURS) = encode_hours(time.hours);
    at(Index::DAY_OF_WEEK) = encode(time.weekday);
    at(Index::DAY_OF_MONTH) = encode(time.day);
    at(Index::MONTH) = encode(time.month);
    const auto year = static_cast<unsigned>(std::clamp(time.year, 0, 9999));
    at(Index::YEAR) = encode(year % 100);
    at(Index::CENTURY) = encode(year / 100);
}

void Rtc::take_time() {
    CalendarTime time;
    time.seconds = decode(at(Index::SECONDS));
    time.minutes = decode(at(Index::MINUTES));
    time.hours = decode_hours(at(Index::HOURS));
    time.day = decode(at(Index::DAY_OF_MONTH));
    time.month = decode(at(Index::MONTH));
    time.year = static_cast<int>(decode(at(Index::CENTURY)) * 100 + decode(at(Index::YEAR)));
    const std::int64_t phase_ns = phase_of(guest_ns());
    // Years up to 27,000 do not fit into nanoseconds: they wrap, as an offset does.
    const auto wanted = static_cast<std::uint64_t>(to_seconds(time)) * rtc::kNanosecondsPerSecond +
                        static_cast<std::uint64_t>(phase_ns);
    offset_ns_ = static_cast<std::int64_t>(wanted - timers_.now_ns());
    last_second_ = floor_div(guest_ns(), kSecondNs);
    last_period_ = periods(guest_ns());
}

bool Rtc::alarm_between(std::int64_t after_s, std::int64_t last_s) const {
    const auto field = [this](Index index, auto decoder) -> std::optional<unsigned> {
        const std::uint8_t value = at(index);
        if (value >= rtc::kAlarmDontCare) return std::nullopt;
        return (this->*decoder)(value);
    };
    const auto seconds = field(Index::SECONDS_ALARM, &Rtc::decode);
    const auto minutes = field(Index::MINUTES_ALARM, &Rtc::decode);
    const auto hours = field(Index::HOURS_ALARM, &Rtc::decode_hours);
    for (std::int64_t second = std::max(after_s, last_s - kSecondsPerDay) + 1; second <= last_s; ++second) {
        const auto of_day = static_cast<unsigned>(second - floor_div(second, kSecondsPerDay) * kSecondsPerDay);
        if (seconds.value_or(of_day % 60) == of_day % 60 && minutes.value_or(of_day / 60 % 60) == of_day / 60 % 60 &&
            hours.value_or(of_day / 3600) == of_day / 3600)
            return true;
    }
    return false;
}

std::int64_t Rtc::periods(std::int64_t time_ns) const {
    const std::uint32_t cycles = rtc::periodic_cycles(rtc::RegisterA{at(Index::REGISTER_A)}.get(rtc::a::RS));
    if (cycles == 0 || !divider_runs()) return 0;
    return static_cast<std::int64_t>(static_cast<__int128>(time_ns) * static_cast<std::int64_t>(rtc::kCrystalHz) /
                                     (static_cast<__int128>(kSecondNs) * cycles));
}

void Rtc::catch_up() {
    std::uint8_t& flags = at(Index::REGISTER_C);
    const std::int64_t now_ns = guest_ns();
    const std::int64_t second = floor_div(now_ns, kSecondNs);
    if (time_runs() && second > last_second_) {
        flags |= rtc::c::UF;
        if (!(flags & rtc::c::AF) && alarm_between(last_second_, second)) flags |= rtc::c::AF;
    }
    last_second_ = second;
    const std::int64_t period = periods(now_ns);
    if (period != last_period_) flags |= rtc::c::PF;
    last_period_ = period;
}

void Rtc::update_interrupt() {
    std::uint8_t& flags = at(Index::REGISTER_C);
    const std::uint8_t enables = at(Index::REGISTER_B) & kInterruptBits;
    const bool requested = flags & enables;
    flags = static_cast<std::uint8_t>(requested ? flags | rtc::c::IRQF : flags & ~rtc::c::IRQF);
    irq8_.set(requested && !disconnected_);
    if (requested) return alarm_->disarm(); // nothing new can be said before register C is read

    const std::int64_t now_ns = guest_ns();
    std::int64_t wait_ns = std::numeric_limits<std::int64_t>::max();
    if (time_runs() && (enables & (rtc::b::UIE | rtc::b::AIE))) wait_ns = kSecondNs - phase_of(now_ns);
    const std::uint32_t cycles = rtc::periodic_cycles(rtc::RegisterA{at(Index::REGISTER_A)}.get(rtc::a::RS));
    if ((enables & rtc::b::PIE) && cycles != 0 && divider_runs()) {
        const __int128 period_scaled = static_cast<__int128>(kSecondNs) * cycles;
        const __int128 next = (static_cast<__int128>(periods(now_ns)) + 1) * period_scaled;
        const __int128 next_ns =
            (next + static_cast<__int128>(rtc::kCrystalHz) - 1) / static_cast<__int128>(rtc::kCrystalHz);
        wait_ns = std::min(wait_ns, std::max<std::int64_t>(static_cast<std::int64_t>(next_ns - now_ns), 1));
    }
    if (wait_ns == std::numeric_limits<std::int64_t>::max()) return alarm_->disarm();
    alarm_->arm(timers_.now_ns() + static_cast<std::uint64_t>(wait_ns));
}

std::uint8_t Rtc::read_register(std::uint8_t index) {
    switch (static_cast<Index>(index)) {
        case Index::REGISTER_A: {
            const std::int64_t left_ns = kSecondNs - phase_of(guest_ns());
            const bool updates = time_runs() && left_ns <= static_cast<std::int64_t>(rtc::kUpdateAheadNs);
            return rtc::RegisterA{at(Index::REGISTER_A)}.set(rtc::a::UIP, updates).raw;
        }
        case Index::REGISTER_C: {
            catch_up();
            update_interrupt();
            const std::uint8_t flags = std::exchange(at(Index::REGISTER_C), std::uint8_t{0});
            update_interrupt();
            return flags;
        }
        case Index::REGISTER_D: return rtc::d::VRT;
        default: break;
    }
    if (is_time_register(index) && time_runs()) show_time();
    return cmos_[index];
}

void Rtc::write_register_a(std::uint8_t value) {
    const bool divider_ran = divider_runs();
    const bool time_ran = time_runs();
    if (time_ran) show_time();
    at(Index::REGISTER_A) = rtc::RegisterA{value}.set(rtc::a::UIP, false).raw;
    if (divider_runs() && !divider_ran) {
        // The first update comes half a second after the divider starts (MC146818, "Divider control").
        const auto half = rtc::kNanosecondsPerSecond / 2;
        const auto second = static_cast<std::uint64_t>(floor_div(guest_ns(), kSecondNs));
        offset_ns_ = static_cast<std::int64_t>(second * rtc::kNanosecondsPerSecond + half - timers_.now_ns());
    }
    if (time_runs() && !time_ran) take_time();
    last_period_ = periods(guest_ns()); // another rate counts from now
}

void Rtc::write_register_b(std::uint8_t value) {
    const bool time_ran = time_runs();
    if (time_ran) show_time();
    if (value & rtc::b::SET) value = static_cast<std::uint8_t>(value & ~rtc::b::UIE); // SET clears it
    at(Index::REGISTER_B) = value;
    if (time_runs() && !time_ran) take_time();
}

void Rtc::write_register(std::uint8_t index, std::uint8_t value) {
    catch_up();
    switch (static_cast<Index>(index)) {
        case Index::REGISTER_A: write_register_a(value); break;
        case Index::REGISTER_B: write_register_b(value); break;
        case Index::REGISTER_C:
        case Index::REGISTER_D: return; // read only
        default:
            if (is_time_register(index) && time_runs()) {
                show_time();
                cmos_[index] = value;
                take_time();
            } else {
                cmos_[index] = value;
            }
    }
    update_interrupt();
}

std::uint8_t Rtc::read_byte(std::uint64_t offset) {
    const std::scoped_lock lock(mutex_);
    if (offset == 0) return 0xFF; // the index cannot be read
    return read_register(index_);
}

void Rtc::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::scoped_lock lock(mutex_);
    if (offset == 0)
        index_ = value & rtc::kIndexMask;
    else
        write_register(index_, value);
}

void Rtc::set_interrupt_disconnected(bool disconnected) {
    const std::scoped_lock lock(mutex_);
    catch_up();
    disconnected_ = disconnected;
    update_interrupt();
}

void Rtc::reset() {
    const std::scoped_lock lock(mutex_);
    catch_up();
    at(Index::REGISTER_B) &= static_cast<std::uint8_t>(~(kInterruptBits | rtc::b::SQWE));
    at(Index::REGISTER_C) = 0;
    disconnected_ = false;
    update_interrupt();
}

migration::Record Rtc::save() const {
    const std::scoped_lock lock(mutex_);
    const auto ahead = static_cast<std::uint64_t>(guest_ns()) - static_cast<std::uint64_t>(utc_now_());
    return migration::save_record("rtc", RtcState{cmos_, index_, static_cast<std::int64_t>(ahead), disconnected_});
}

std::expected<void, migration::RestoreError> Rtc::restore(const migration::Record& record) {
    const auto state = migration::load_record<RtcState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    cmos_ = state->cmos;
    index_ = state->index & rtc::kIndexMask;
    disconnected_ = state->interrupt_disconnected;
    const auto guest = static_cast<std::uint64_t>(utc_now_()) + static_cast<std::uint64_t>(state->ahead_ns);
    offset_ns_ = static_cast<std::int64_t>(guest - timers_.now_ns());
    last_second_ = floor_div(guest_ns(), kSecondNs);
    last_period_ = periods(guest_ns());
    update_interrupt();
    return {};
}

} // namespace touka::devices
