#include "devices/serial/uart16550.hpp"

#include <algorithm>
#include <utility>

namespace touka::devices {

namespace uart = spec::uart;
using uart::Offset;

namespace {

/// The other side is there and ready, always.
constexpr std::uint8_t kConnected = uart::msr::CTS | uart::msr::DSR | uart::msr::DCD;
constexpr std::uint8_t kLineErrors = uart::lsr::OE | uart::lsr::BI;

/// Modem outputs as they come back on the inputs in loopback. (PC16550D §8.7)
std::uint8_t looped_back(std::uint8_t mcr) {
    std::uint8_t levels = 0;
    if (mcr & uart::mcr::RTS) levels |= uart::msr::CTS;
    if (mcr & uart::mcr::DTR) levels |= uart::msr::DSR;
    if (mcr & uart::mcr::OUT1) levels |= uart::msr::RI;
    if (mcr & uart::mcr::OUT2) levels |= uart::msr::DCD;
    return levels;
}

} // namespace

Uart16550::Uart16550(std::string name, platform::InterruptLine& line, runtime::ByteStream& stream,
                     runtime::Timers& timers)
    : name_(std::move(name)), line_(line), stream_(stream), timers_(timers),
      flush_alarm_(timers.make_timer([this] { flush(); })) {
    output_.reserve(kFlushSize);
    state_.msr = kConnected;
    stream_.set_receiver([this](std::span<const std::byte> bytes) { return receive(bytes); });
}

Uart16550::~Uart16550() {
    stream_.set_receiver([](std::span<const std::byte>) { return std::size_t{0}; });
    flush();
}

bool Uart16550::fifos_enabled() const { return uart::Fcr{state_.fcr}.get(uart::fcr::ENABLE); }

std::size_t Uart16550::trigger_level() const {
    static constexpr std::array<std::size_t, 4> kLevels{1, 4, 8, 14};
    return fifos_enabled() ? kLevels[uart::Fcr{state_.fcr}.get(uart::fcr::RCVR_TRIGGER)] : 1;
}

std::uint8_t Uart16550::interrupt_identification() const {
    if ((state_.ier & uart::ier::ELSI) && (state_.lsr & kLineErrors)) return uart::iir::kLineStatus;
    if ((state_.ier & uart::ier::ERBFI) && !received_.empty()) {
        // A byte below the trigger level would wait for four character times; ours take none.
        return received_.size() >= trigger_level() ? uart::iir::kReceivedData : uart::iir::kCharacterTimeout;
    }
    if ((state_.ier & uart::ier::ETBEI) && state_.thr_empty_pending) return uart::iir::kThrEmpty;
    if ((state_.ier & uart::ier::EDSSI) && (state_.msr & uart::msr::kDeltas)) return uart::iir::kModemStatus;
    return uart::iir::kNone;
}

void Uart16550::update_interrupt() {
    // On a PC the interrupt output passes a gate that OUT2 opens.
    line_.set((state_.mcr & uart::mcr::OUT2) && interrupt_identification() != uart::iir::kNone);
}

std::uint8_t Uart16550::read_iir() {
    const std::uint8_t identification = interrupt_identification();
    if (identification == uart::iir::kThrEmpty) state_.thr_empty_pending = false;
    return fifos_enabled() ? identification | uart::iir::kFifosEnabled : identification;
}

void Uart16550::push(std::uint8_t value) {
    if (received_.size() < capacity()) {
        received_.push_back(value);
        return;
    }
    state_.lsr |= uart::lsr::OE;
    if (!fifos_enabled()) received_.back() = value; // without FIFOs the newer byte wins, with them the older ones
}

std::uint8_t Uart16550::pop() {
    if (received_.empty()) return 0;
    const std::uint8_t value = received_.front();
    received_.pop_front();
    return value;
}

void Uart16550::set_modem_status(std::uint8_t levels) {
    const std::uint8_t changed = state_.msr ^ levels;
    std::uint8_t deltas = state_.msr & uart::msr::kDeltas;
    if (changed & uart::msr::CTS) deltas |= uart::msr::DCTS;
    if (changed & uart::msr::DSR) deltas |= uart::msr::DDSR;
    if (changed & uart::msr::DCD) deltas |= uart::msr::DDCD;
    if ((changed & uart::msr::RI) && !(levels & uart::msr::RI)) deltas |= uart::msr::TERI;
    state_.msr = levels | deltas;
}

void Uart16550::write_mcr(std::uint8_t value) {
    state_.mcr = value & uart::mcr::kWritable;
    set_modem_status(loops() ? looped_back(state_.mcr) : kConnected);
}

void Uart16550::write_fcr(std::uint8_t value) {
    const uart::Fcr before{state_.fcr};
    const uart::Fcr written{value};
    const bool toggled = before.get(uart::fcr::ENABLE) != written.get(uart::fcr::ENABLE);
    if (toggled || written.get(uart::fcr::RCVR_RESET)) received_.clear();
    // The other bits can be programmed only together with the enable bit (§8.5).
    state_.fcr = written.get(uart::fcr::ENABLE) ? value & uart::fcr::kStored : std::uint8_t{0};
}

std::uint8_t Uart16550::read_byte(std::uint64_t offset) {
    bool drained = false;
    std::uint8_t value = 0;
    {
        const std::scoped_lock lock(mutex_);
        const bool divisor_latch = state_.lcr & uart::lcr::DLAB;
        switch (static_cast<Offset>(offset)) {
            case Offset::RBR_THR:
                value = divisor_latch ? static_cast<std::uint8_t>(state_.divisor) : pop();
                drained = !divisor_latch && received_.empty() && std::exchange(input_waits_, false);
                break;
            case Offset::IER:
                value = divisor_latch ? static_cast<std::uint8_t>(state_.divisor >> 8) : state_.ier;
                break;
            case Offset::IIR_FCR: value = read_iir(); break;
            case Offset::LCR: value = state_.lcr; break;
            case Offset::MCR: value = state_.mcr; break;
            case Offset::LSR:
                value = state_.lsr | uart::lsr::THRE | uart::lsr::TEMT;
                if (!received_.empty()) value |= uart::lsr::DR;
                state_.lsr = 0;
                break;
            case Offset::MSR:
                value = state_.msr;
                state_.msr &= static_cast<std::uint8_t>(~uart::msr::kDeltas);
                break;
            case Offset::SCR: value = state_.scr; break;
        }
        update_interrupt();
    }
    if (drained) stream_.resume_input();
    return value;
}

void Uart16550::write_byte(std::uint64_t offset, std::uint8_t value) {
    bool to_line = false;
    bool offers_room = false;
    {
        const std::scoped_lock lock(mutex_);
        const bool divisor_latch = state_.lcr & uart::lcr::DLAB;
        switch (static_cast<Offset>(offset)) {
            case Offset::RBR_THR:
                if (divisor_latch) {
                    state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0xFF00) | value);
                    break;
                }
                if (loops())
                    push(value);
                else
                    to_line = true;
                state_.thr_empty_pending = true; // gone at once
                break;
            case Offset::IER: {
                if (divisor_latch) {
                    state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0x00FF) | value << 8);
                    break;
                }
                const std::uint8_t before = std::exchange(state_.ier, value & uart::ier::kWritable);
                // Enabled with THR empty, it interrupts at once (§8.6.3); Linux probes for chips that do not.
                if (!(before & uart::ier::ETBEI) && (value & uart::ier::ETBEI)) state_.thr_empty_pending = true;
                break;
            }
            case Offset::IIR_FCR:
                write_fcr(value);
                offers_room = received_.empty() && std::exchange(input_waits_, false);
                break;
            case Offset::LCR: state_.lcr = value; break;
            case Offset::MCR: {
                const bool looped = loops();
                write_mcr(value);
                offers_room = looped && !loops() && std::exchange(input_waits_, false);
                break;
            }
            case Offset::LSR:
            case Offset::MSR: break; // written only by factory tests
            case Offset::SCR: state_.scr = value; break;
        }
        update_interrupt();
    }
    if (to_line) send(value);
    if (offers_room) stream_.resume_input();
}

std::size_t Uart16550::receive(std::span<const std::byte> bytes) {
    const std::scoped_lock lock(mutex_);
    std::size_t room = 0;
    if (!paused_ && !loops() && received_.size() < capacity()) room = capacity() - received_.size();
    const std::size_t taken = std::min(room, bytes.size());
    for (const std::byte value : bytes.first(taken)) received_.push_back(std::to_integer<std::uint8_t>(value));
    if (taken < bytes.size()) input_waits_ = true;
    update_interrupt();
    return taken;
}

void Uart16550::send(std::uint8_t value) {
    const std::scoped_lock lock(output_mutex_);
    if (output_.empty()) flush_alarm_->arm(timers_.now_ns() + kFlushDelayNs);
    output_.push_back(std::byte{value});
    if (output_.size() < kFlushSize) return;
    stream_.write(output_);
    output_.clear();
}

void Uart16550::flush() {
    const std::scoped_lock lock(output_mutex_);
    if (output_.empty()) return;
    stream_.write(output_);
    output_.clear();
}

void Uart16550::pause() {
    {
        const std::scoped_lock lock(mutex_);
        paused_ = true;
    }
    flush();
}

void Uart16550::resume() {
    {
        const std::scoped_lock lock(mutex_);
        paused_ = false;
        input_waits_ = false;
    }
    stream_.resume_input();
}

void Uart16550::reset() {
    std::unique_lock lock(mutex_);
    const std::uint8_t scratch = state_.scr; // not cleared by master reset, nor is the divisor (§8.1 table I)
    const std::uint16_t divisor = state_.divisor;
    state_ = {};
    state_.scr = scratch;
    state_.divisor = divisor;
    state_.msr = kConnected;
    received_.clear();
    update_interrupt();
    const bool offers_room = std::exchange(input_waits_, false);
    lock.unlock();
    if (offers_room) stream_.resume_input();
}

migration::Record Uart16550::save() const {
    Uart16550State state;
    {
        const std::scoped_lock lock(mutex_);
        state = state_;
        state.received.assign(received_.begin(), received_.end());
    }
    const std::scoped_lock lock(output_mutex_);
    for (const std::byte value : output_) state.unsent.push_back(std::to_integer<std::uint8_t>(value));
    return migration::save_record(name_, std::move(state));
}

std::expected<void, migration::RestoreError> Uart16550::restore(const migration::Record& record) {
    auto state = migration::load_record<Uart16550State>(record);
    if (!state) return std::unexpected(state.error());
    if (state->received.size() > uart::kFifoSize || state->unsent.size() > kFlushSize)
        return std::unexpected(migration::RestoreError::kDamaged);
    {
        const std::scoped_lock lock(output_mutex_);
        output_.clear();
    }
    for (const std::uint8_t value : std::exchange(state->unsent, {})) send(value);
    const std::scoped_lock lock(mutex_);
    const auto received = std::exchange(state->received, {});
    received_.assign(received.begin(), received.end());
    state_ = *std::move(state);
    state_.ier &= uart::ier::kWritable;
    state_.fcr &= uart::fcr::kStored;
    state_.mcr &= uart::mcr::kWritable;
    update_interrupt();
    return {};
}

} // namespace touka::devices
