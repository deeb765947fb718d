#include "platform/power/acpi_fixed_hardware.hpp"

#include <utility>

namespace touka::platform {

using spec::acpi::Pm1Control;
using spec::acpi::PmOffset;
namespace pm1 = spec::acpi::pm1;
namespace pm1_control = spec::acpi::pm1_control;

namespace {

/// 146 years: no machine has run for longer, and sums with it do not overflow.
constexpr std::uint64_t kLongestUptimeNs = std::uint64_t{1} << 62;

/// Byte `index` of a register.
std::uint8_t byte_of(std::uint64_t value, std::uint64_t index) {
    return static_cast<std::uint8_t>(value >> (8 * index));
}

template <class T>
T with_byte(T value, std::uint64_t index, std::uint8_t byte) {
    const auto shift = 8 * index;
    return static_cast<T>((value & ~(std::uint64_t{0xFF} << shift)) | (std::uint64_t{byte} << shift));
}

/// Which register an offset lies in, and which byte of it.
struct Place {
    PmOffset base{};
    std::uint64_t index = 0;
};

Place locate(std::uint64_t offset) {
    const auto at = [offset](PmOffset base) { return Place{base, offset - static_cast<std::uint64_t>(base)}; };
    for (const PmOffset base : {PmOffset::GPE0_EN, PmOffset::GPE0_STS, PmOffset::PM_TMR, PmOffset::PM1_CNT,
                                PmOffset::PM1_EN, PmOffset::PM1_STS})
        if (offset >= static_cast<std::uint64_t>(base)) return at(base);
    return {};
}

} // namespace

AcpiFixedHardware::AcpiFixedHardware(InterruptLine& sci, runtime::Timers& timers, PmTimer::Width timer_width,
                                     std::function<void()> on_power_off)
    : sci_(sci), timers_(timers), on_power_off_(std::move(on_power_off)), timer_(timer_width, timers.now_ns()),
      alarm_(timers.make_timer([this] {
          const std::scoped_lock lock(mutex_);
          armed_ = false;
          update(timers_.now_ns());
      })) {}

void AcpiFixedHardware::update(std::uint64_t now_ns) {
    const std::uint64_t carries = timer_.carries(now_ns);
    if (carries != carries_seen_) state_.pm1_status |= pm1::TMR;
    carries_seen_ = carries;
    sci_.set((state_.pm1_status & state_.pm1_enable) != 0 || (state_.gpe0_status & state_.gpe0_enable) != 0);

    const bool wanted = (state_.pm1_enable & pm1::TMR) && !(state_.pm1_status & pm1::TMR);
    if (wanted)
        alarm_->arm(timer_.next_carry_ns(now_ns));
    else if (armed_)
        alarm_->disarm();
    armed_ = wanted;
}

void AcpiFixedHardware::press_power_button() {
    const std::scoped_lock lock(mutex_);
    state_.pm1_status |= pm1::PWRBTN;
    update(timers_.now_ns());
}

void AcpiFixedHardware::raise_general_purpose_event(unsigned event) {
    const std::scoped_lock lock(mutex_);
    state_.gpe0_status |= std::uint64_t{1} << event;
    update(timers_.now_ns());
}

std::uint8_t AcpiFixedHardware::read_byte(std::uint64_t offset, std::uint64_t now_ns) const {
    const auto [base, index] = locate(offset);
    switch (base) {
        case PmOffset::PM1_STS: return byte_of(state_.pm1_status, index);
        case PmOffset::PM1_EN: return byte_of(state_.pm1_enable, index);
        case PmOffset::PM1_CNT:
            return byte_of(Pm1Control{state_.pm1_control}.set(pm1_control::SCI_EN, true).raw, index);
        case PmOffset::PM_TMR: return index < 4 ? byte_of(timer_.value(now_ns), index) : std::uint8_t{0};
        case PmOffset::GPE0_STS: return byte_of(state_.gpe0_status, index);
        case PmOffset::GPE0_EN: return index < 8 ? byte_of(state_.gpe0_enable, index) : std::uint8_t{0};
    }
    return 0;
}

bool AcpiFixedHardware::write_byte(std::uint64_t offset, std::uint8_t value) {
    const auto [base, index] = locate(offset);
    switch (base) {
        case PmOffset::PM1_STS: // written ones clear
            state_.pm1_status = static_cast<std::uint16_t>(state_.pm1_status & ~(unsigned{value} << (8 * index)));
            break;
        case PmOffset::PM1_EN: state_.pm1_enable = with_byte(state_.pm1_enable, index, value) & pm1::kEnableBits; break;
        case PmOffset::PM1_CNT: {
            if (index > 1) break;
            const Pm1Control written{with_byte(state_.pm1_control, index, value)};
            state_.pm1_control = written.raw & pm1_control::kStored;
            return index == 1 && written.get(pm1_control::SLP_EN) &&
                   written.get(pm1_control::SLP_TYP) == pm1_control::kSleepTypeS5;
        }
        case PmOffset::PM_TMR: break; // read only
        case PmOffset::GPE0_STS: state_.gpe0_status &= ~(std::uint64_t{value} << (8 * index)); break;
        case PmOffset::GPE0_EN:
            if (index < 8) state_.gpe0_enable = with_byte(state_.gpe0_enable, index, value);
            break;
    }
    return false;
}

std::uint64_t AcpiFixedHardware::read(std::uint64_t offset, unsigned width_bytes) {
    const std::uint64_t now_ns = timers_.now_ns(); // once: the bytes of the timer belong together
    // A clock source is read all the time, and its origin only moves while everything is paused: no lock.
    if (offset == static_cast<std::uint64_t>(PmOffset::PM_TMR) && width_bytes == 4) return timer_.value(now_ns);
    const std::scoped_lock lock(mutex_);
    update(now_ns);
    std::uint64_t value = 0;
    for (unsigned i = 0; i < width_bytes; ++i) value |= std::uint64_t{read_byte(offset + i, now_ns)} << (8 * i);
    return value;
}

void AcpiFixedHardware::write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) {
    bool power_off = false;
    {
        const std::scoped_lock lock(mutex_);
        const std::uint64_t now_ns = timers_.now_ns();
        update(now_ns);
        for (unsigned i = 0; i < width_bytes; ++i) power_off |= write_byte(offset + i, byte_of(value, i));
        update(now_ns);
    }
    if (power_off) on_power_off_();
}

void AcpiFixedHardware::reset() {
    const std::scoped_lock lock(mutex_);
    state_ = {};
    const std::uint64_t now_ns = timers_.now_ns();
    timer_.set_elapsed(0, now_ns);
    carries_seen_ = 0;
    update(now_ns);
}

migration::Record AcpiFixedHardware::save() const {
    const std::scoped_lock lock(mutex_);
    AcpiFixedHardwareState state = state_;
    const std::uint64_t now_ns = timers_.now_ns();
    if (timer_.carries(now_ns) != carries_seen_) state.pm1_status |= pm1::TMR;
    state.timer_elapsed_ns = timer_.elapsed_ns(now_ns);
    return migration::save_record("acpi-pm", state);
}

std::expected<void, migration::RestoreError> AcpiFixedHardware::restore(const migration::Record& record) {
    const auto state = migration::load_record<AcpiFixedHardwareState>(record);
    if (!state) return std::unexpected(state.error());
    if (state->timer_elapsed_ns > kLongestUptimeNs) return std::unexpected(migration::RestoreError::kDamaged);
    const std::scoped_lock lock(mutex_);
    state_ = *state;
    state_.pm1_status &= pm1::kStatusBits;
    state_.pm1_enable &= pm1::kEnableBits;
    state_.pm1_control &= pm1_control::kStored;
    const std::uint64_t now_ns = timers_.now_ns();
    timer_.set_elapsed(state->timer_elapsed_ns, now_ns);
    carries_seen_ = timer_.carries(now_ns);
    update(now_ns);
    return {};
}

} // namespace touka::platform
