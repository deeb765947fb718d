#include "platform/timer/pit8254.hpp"

#include <algorithm>

#include "spec/pit/i8254.hpp"

namespace touka::platform {

namespace pit = spec::pit;

Pit8254::Pit8254(InterruptLine& irq0, runtime::Timers& timers)
    : irq0_(irq0), timers_(timers), alarm_(timers.make_timer([this] {
          const std::scoped_lock lock(mutex_);
          service(timers_.now_ns());
      })) {
    reset_channels();
}

void Pit8254::reset_channels() {
    for (auto& channel : channels_) channel = {};
    channels_[2].set_gate(false, timers_.now_ns());
    speaker_enabled_ = false;
    rise_ns_ = 0;
}

void Pit8254::service(std::uint64_t now_ns) {
    if (rise_ns_ == 0 || now_ns < rise_ns_) return;
    if (!disconnected_) {
        // Mode 0 leaves its output high; the others come down again before the next rise.
        irq0_.set(true);
        if (channels_[0].mode() != 0) irq0_.set(false);
    }
    arm(now_ns);
}

void Pit8254::arm(std::uint64_t now_ns) {
    const auto rise = channels_[0].next_rise_ns(now_ns);
    if (!rise) {
        rise_ns_ = 0;
        alarm_->disarm();
        return;
    }
    const bool follows = rise_ns_ != 0;
    rise_ns_ = follows ? std::max(*rise, now_ns + kMinimumPeriodNs) : *rise;
    alarm_->arm(rise_ns_);
}

void Pit8254::restart(std::uint64_t now_ns) {
    irq0_.set(!disconnected_ && channels_[0].mode() == 0 && channels_[0].output(now_ns));
    rise_ns_ = 0;
    arm(now_ns);
}

void Pit8254::set_interrupt_disconnected(bool disconnected) {
    const std::scoped_lock lock(mutex_);
    service(timers_.now_ns());
    disconnected_ = disconnected;
    if (disconnected) irq0_.set(false);
}

std::uint8_t Pit8254::CounterPorts::read_byte(std::uint64_t offset) {
    const std::scoped_lock lock(pit_.mutex_);
    if (offset >= pit::kControlOffset) return 0xFF; // the control word cannot be read
    return pit_.channels_[offset].read(pit_.timers_.now_ns());
}

void Pit8254::CounterPorts::write_byte(std::uint64_t offset, std::uint8_t value) {
    const std::scoped_lock lock(pit_.mutex_);
    const std::uint64_t now_ns = pit_.timers_.now_ns();
    pit_.service(now_ns); // what was due before is not lost
    if (offset >= pit::kControlOffset) return pit_.write_control(value, now_ns);
    pit_.channels_[offset].write(value, now_ns);
    if (offset == 0) pit_.restart(now_ns);
}

void Pit8254::write_control(std::uint8_t value, std::uint64_t now_ns) {
    const std::uint8_t selected = pit::ControlWord{value}.get(pit::control_word::SC);
    if (selected != pit::control_word::kReadBack) {
        channels_[selected].write_control(value, now_ns);
        const bool latch = pit::ControlWord{value}.get(pit::control_word::RW) == pit::control_word::kLatch;
        if (selected == 0 && !latch) restart(now_ns);
        return;
    }
    const pit::ReadBackCommand command{value};
    for (unsigned i = 0; i < pit::kChannelCount; ++i) {
        if (!(command.get(pit::read_back::CNT) & (1u << i))) continue;
        if (!command.get(pit::read_back::NO_COUNT)) channels_[i].latch_count(now_ns);
        if (!command.get(pit::read_back::NO_STATUS)) channels_[i].latch_status(now_ns);
    }
}

std::uint8_t Pit8254::SpeakerPort::read_byte(std::uint64_t) {
    namespace fields = pit::nmi_sc;
    const std::scoped_lock lock(pit_.mutex_);
    const std::uint64_t now_ns = pit_.timers_.now_ns();
    pit::NmiSc value;
    value.set(fields::TIM_CNT2_EN, pit_.channels_[2].gate()).set(fields::SPKR_DAT_EN, pit_.speaker_enabled_);
    value.set(fields::REF_TOGGLE, now_ns / fields::kRefreshToggleNs % 2 != 0);
    value.set(fields::TMR2_OUT_STS, pit_.channels_[2].output(now_ns));
    return value.raw;
}

void Pit8254::SpeakerPort::write_byte(std::uint64_t, std::uint8_t value) {
    const std::scoped_lock lock(pit_.mutex_);
    const pit::NmiSc written{value};
    pit_.channels_[2].set_gate(written.get(pit::nmi_sc::TIM_CNT2_EN), pit_.timers_.now_ns());
    pit_.speaker_enabled_ = written.get(pit::nmi_sc::SPKR_DAT_EN);
}

void Pit8254::reset() {
    const std::scoped_lock lock(mutex_);
    reset_channels();
    disconnected_ = false;
    alarm_->disarm();
    irq0_.set(false);
}

migration::Record Pit8254::save() const {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    cpu::PitState state;
    for (unsigned i = 0; i < pit::kChannelCount; ++i) state.channels[i] = channels_[i].state(now_ns);
    state.speaker_enabled = speaker_enabled_;
    state.channel0_disconnected = disconnected_;
    return migration::save_record("pit", state);
}

std::expected<void, migration::RestoreError> Pit8254::restore(const migration::Record& record) {
    const auto state = migration::load_record<cpu::PitState>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    const std::uint64_t now_ns = timers_.now_ns();
    for (unsigned i = 0; i < pit::kChannelCount; ++i) channels_[i].set_state(state->channels[i], now_ns);
    speaker_enabled_ = state->speaker_enabled;
    disconnected_ = state->channel0_disconnected;
    restart(now_ns);
    return {};
}

} // namespace touka::platform
