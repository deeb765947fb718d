#include "platform/timer/hpet.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "spec/hpet/hpet.hpp"

namespace touka::platform {

namespace hpet = spec::hpet;
using hpet::Offset;

namespace {

constexpr std::uint32_t kFemtosecondsPerNanosecond = 1'000'000;
/// Matches that follow each other faster are coalesced: a guest must not keep the host's reactor busy.
constexpr std::uint64_t kMinimumPeriodNs = 50'000;
constexpr std::uint64_t kConfigurationMask = hpet::configuration::ENABLE_CNF | hpet::configuration::LEG_RT_CNF;

constexpr hpet::Capabilities capabilities() {
    using namespace hpet::capabilities;
    return hpet::Capabilities{}
        .set(REV_ID, std::uint8_t{1})
        .set(NUM_TIM_CAP, std::uint8_t{2})
        .set(COUNT_SIZE_CAP, true)
        .set(LEG_RT_CAP, true)
        .set(VENDOR_ID, 0x8086u)
        .set(COUNTER_CLK_PERIOD, static_cast<std::uint32_t>(Hpet::kTickNs) * kFemtosecondsPerNanosecond);
}
static_assert(capabilities().raw == 0x0098'9680'8086'A201);

constexpr hpet::TimerConfiguration timer_capabilities() {
    using namespace hpet::timer;
    return hpet::TimerConfiguration{}
        .set(PER_INT_CAP, true)
        .set(SIZE_CAP, true)
        .set(INT_ROUTE_CAP, 0xFu << kHpetFirstGsi);
}

/// The range in nanoseconds that fits, however far the match.
std::uint64_t ticks_to_ns(std::uint64_t ticks) {
    return std::min(ticks, std::numeric_limits<std::uint64_t>::max() / 4 / Hpet::kTickNs) * Hpet::kTickNs;
}

} // namespace

Hpet::Hpet(HpetLines lines, runtime::Timers& timers, std::function<void(bool)> on_legacy_replacement)
    : lines_(lines), timers_(timers), on_legacy_replacement_(std::move(on_legacy_replacement)) {
    for (auto& alarm : alarms_)
        alarm = timers.make_timer([this] {
            const std::scoped_lock lock(mutex_);
            service(timers_.now_ns());
        });
}

bool Hpet::enabled() const { return configuration_ & hpet::configuration::ENABLE_CNF; }
bool Hpet::legacy_replacement() const { return configuration_ & hpet::configuration::LEG_RT_CNF; }

std::uint64_t Hpet::counter(std::uint64_t now_ns) const {
    return enabled() ? base_counter_ + (now_ns - base_ns_) / kTickNs : base_counter_;
}

void Hpet::set_counter(std::uint64_t value, std::uint64_t now_ns) {
    base_counter_ = value;
    base_ns_ = now_ns;
}

InterruptLine* Hpet::line_of(unsigned index) const {
    if (legacy_replacement() && index == 0) return lines_.irq0;
    if (legacy_replacement() && index == 1) return lines_.irq8;
    const unsigned gsi = comparators_[index].configuration().get(hpet::timer::INT_ROUTE_CNF);
    if (gsi < kHpetFirstGsi || gsi >= kHpetFirstGsi + lines_.gsi.size()) return nullptr;
    return lines_.gsi[gsi - kHpetFirstGsi];
}

void Hpet::update_lines() {
    std::array<bool, 4> level{};
    for (unsigned i = 0; i < comparators_.size(); ++i) {
        const unsigned gsi = comparators_[i].configuration().get(hpet::timer::INT_ROUTE_CNF);
        const bool legacy = legacy_replacement() && i < 2; // those are edges
        const bool routed = !legacy && gsi >= kHpetFirstGsi && gsi < kHpetFirstGsi + level.size();
        if (routed && comparators_[i].interrupts() && comparators_[i].level_triggered())
            level[gsi - kHpetFirstGsi] |= (interrupt_status_ >> i & 1) != 0;
    }
    for (std::size_t i = 0; i < level.size(); ++i)
        if (lines_.gsi[i]) lines_.gsi[i]->set(level[i]);
}

void Hpet::fire(unsigned index) {
    const HpetComparator& comparator = comparators_[index];
    const bool legacy = legacy_replacement() && index < 2;
    if (comparator.level_triggered() && !legacy) {
        interrupt_status_ |= std::uint64_t{1} << index; // also while its interrupt is off, for who polls
        return update_lines();
    }
    if (!comparator.interrupts()) return;
    if (InterruptLine* line = line_of(index)) line->pulse();
}

void Hpet::service(std::uint64_t now_ns) {
    for (unsigned i = 0; i < comparators_.size(); ++i) {
        if (match_ns_[i] == 0 || now_ns < match_ns_[i]) continue;
        fire(i);
        comparators_[i].advance_beyond(counter(now_ns));
        match_ns_[i] =
            now_ns + std::max(ticks_to_ns(comparators_[i].counts_to_match(counter(now_ns))), kMinimumPeriodNs);
        alarms_[i]->arm(match_ns_[i]);
    }
}

void Hpet::arm(std::uint64_t now_ns) {
    for (unsigned i = 0; i < comparators_.size(); ++i) {
        if (!enabled()) {
            match_ns_[i] = 0;
            alarms_[i]->disarm();
            continue;
        }
        // From the start of the current tick, so that the alarm never comes before its counter value.
        const std::uint64_t tick_start_ns = now_ns - (now_ns - base_ns_) % kTickNs;
        match_ns_[i] = tick_start_ns + ticks_to_ns(comparators_[i].counts_to_match(counter(now_ns)));
        alarms_[i]->arm(match_ns_[i]);
    }
}

std::uint64_t Hpet::read_register(std::uint64_t offset, std::uint64_t now_ns) const {
    switch (static_cast<Offset>(offset)) {
        case Offset::GCAP_ID: return capabilities().raw;
        case Offset::GEN_CONF: return configuration_;
        case Offset::GINTR_STA: return interrupt_status_;
        case Offset::MAIN_CNT: return counter(now_ns);
        default: break;
    }
    const auto first = static_cast<std::uint64_t>(Offset::TIM_CONF);
    const std::uint64_t index = offset < first ? comparators_.size() : (offset - first) / hpet::kTimerStride;
    if (index >= comparators_.size()) return 0;
    const HpetComparator& comparator = comparators_[index];
    switch (static_cast<Offset>(offset - index * hpet::kTimerStride)) {
        case Offset::TIM_CONF: return comparator.configuration().raw | timer_capabilities().raw;
        case Offset::TIM_COMP: return comparator.value();
        default: return 0;
    }
}

void Hpet::write_configuration(std::uint64_t value, std::uint64_t now_ns) {
    const std::uint64_t before = configuration_;
    const std::uint64_t count = counter(now_ns);
    configuration_ = value & kConfigurationMask;
    if ((before ^ configuration_) & hpet::configuration::ENABLE_CNF) set_counter(count, now_ns);
    if ((before ^ configuration_) & hpet::configuration::LEG_RT_CNF) on_legacy_replacement_(legacy_replacement());
    update_lines();
}

void Hpet::write_comparator_register(std::uint64_t offset, std::uint64_t value) {
    const auto first = static_cast<std::uint64_t>(Offset::TIM_CONF);
    const std::uint64_t index = offset < first ? comparators_.size() : (offset - first) / hpet::kTimerStride;
    if (index >= comparators_.size()) return;
    switch (static_cast<Offset>(offset - index * hpet::kTimerStride)) {
        case Offset::TIM_CONF:
            comparators_[index].write_configuration(value);
            update_lines();
            break;
        case Offset::TIM_COMP: comparators_[index].write_value(value); break;
        default: break;
    }
}

void Hpet::write_register(std::uint64_t offset, std::uint64_t value, std::uint64_t now_ns) {
    switch (static_cast<Offset>(offset)) {
        case Offset::GCAP_ID: return;
        case Offset::GEN_CONF: return write_configuration(value, now_ns);
        case Offset::GINTR_STA: interrupt_status_ &= ~value; return update_lines();
        case Offset::MAIN_CNT:
            if (!enabled()) set_counter(value, now_ns); // writable while halted only (§2.3.7)
            return;
        default: return write_comparator_register(offset, value);
    }
}

std::uint64_t Hpet::read(std::uint64_t offset, unsigned width_bytes) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    service(now_ns);
    const unsigned within = offset % 8;
    if (within + width_bytes > 8) return 0; // an access over two registers is not allowed (§2.3.1)
    return read_register(offset - within, now_ns) >> (8 * within);
}

void Hpet::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    service(now_ns); // what was due before is not lost
    const unsigned within = offset % 8;
    if (within + width_bytes > 8) return;
    const std::uint64_t whole = offset - within;
    const std::uint64_t mask = (width_bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width_bytes)) - 1)
                               << (8 * within);
    // The untouched half of a register stays; of the status, where ones clear, it is zero.
    const bool clears = static_cast<Offset>(whole) == Offset::GINTR_STA;
    const std::uint64_t rest = clears ? 0 : read_register(whole, now_ns) & ~mask;
    write_register(whole, rest | ((value << (8 * within)) & mask), now_ns);
    arm(now_ns);
}

void Hpet::reset() {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    interrupt_status_ = 0;
    for (auto& comparator : comparators_) {
        comparator.set_state({});
        comparator.write_value(~std::uint64_t{0}); // §2.3.9
    }
    write_configuration(0, now_ns);
    set_counter(0, now_ns);
    arm(now_ns);
}

migration::Record Hpet::save() const {
    const std::scoped_lock lock(mutex_);
    HpetState state{configuration_, interrupt_status_, counter(timers_.now_ns()), {}};
    for (std::size_t i = 0; i < comparators_.size(); ++i) state.comparators[i] = comparators_[i].state();
    return migration::save_record("hpet", state);
}

std::expected<void, migration::RestoreError> Hpet::restore(const migration::Record& record) {
    const auto state = migration::load_record<HpetState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    configuration_ = state->configuration & kConfigurationMask;
    interrupt_status_ = state->interrupt_status;
    set_counter(state->counter, now_ns);
    for (std::size_t i = 0; i < comparators_.size(); ++i) comparators_[i].set_state(state->comparators[i]);
    on_legacy_replacement_(legacy_replacement());
    update_lines();
    arm(now_ns);
    return {};
}

} // namespace touka::platform
