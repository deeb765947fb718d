#include "devices/keyboard/i8042.hpp"

#include <utility>

namespace touka::devices {

namespace i8042 = spec::i8042;
using i8042::Command;

I8042::I8042(platform::InterruptLine& irq1, platform::InterruptLine& irq12, std::function<void()> on_reset)
    : irq1_(irq1), irq12_(irq12), on_reset_(std::move(on_reset)) {}

void I8042::put(std::uint8_t value, Source source) {
    namespace status = i8042::status;
    const bool auxiliary = source == Source::kAuxiliary || source == Source::kNoAuxiliary;
    const bool timeout = source == Source::kNobody || source == Source::kNoAuxiliary;
    state_.output = value;
    state_.status = static_cast<std::uint8_t>(state_.status & ~(status::AUX_OBF | status::TIMEOUT));
    state_.status |=
        static_cast<std::uint8_t>(status::OBF | (auxiliary ? status::AUX_OBF : 0) | (timeout ? status::TIMEOUT : 0));
}

void I8042::update_interrupts() {
    const bool full = state_.status & i8042::status::OBF;
    const bool auxiliary = state_.status & i8042::status::AUX_OBF;
    irq1_.set(full && !auxiliary && (state_.memory[0] & i8042::command_byte::KEYBOARD_INTERRUPT));
    irq12_.set(full && auxiliary && (state_.memory[0] & i8042::command_byte::AUX_INTERRUPT));
}

bool I8042::execute(std::uint8_t value) {
    namespace command_byte = i8042::command_byte;
    state_.command = 0;
    state_.status |= i8042::status::CMD;
    const auto first_memory = static_cast<std::uint8_t>(Command::kReadMemory);
    if (value >= first_memory && value < first_memory + i8042::kMemorySize) {
        put(state_.memory[value - first_memory], Source::kController);
        return false;
    }
    const auto first_write = static_cast<std::uint8_t>(Command::kWriteMemory);
    if (value >= first_write && value < first_write + i8042::kMemorySize) {
        state_.command = value;
        return false;
    }
    if (value >= static_cast<std::uint8_t>(Command::kPulseOutputPort)) return !(value & 1);
    switch (static_cast<Command>(value)) {
        case Command::kDisableAux: state_.memory[0] |= command_byte::DISABLE_AUX; break;
        case Command::kEnableAux:
            state_.memory[0] = static_cast<std::uint8_t>(state_.memory[0] & ~command_byte::DISABLE_AUX);
            break;
        case Command::kDisableKeyboard: state_.memory[0] |= command_byte::DISABLE_KEYBOARD; break;
        case Command::kEnableKeyboard:
            state_.memory[0] = static_cast<std::uint8_t>(state_.memory[0] & ~command_byte::DISABLE_KEYBOARD);
            break;
        case Command::kTestAux: put(i8042::kClockLineStuckLow, Source::kController); break;
        case Command::kTestKeyboard: put(i8042::kInterfaceTestPassed, Source::kController); break;
        case Command::kSelfTest:
            state_.status |= i8042::status::SYS;
            put(i8042::kSelfTestPassed, Source::kController);
            break;
        case Command::kReadInputPort: put(0, Source::kController); break;
        case Command::kReadOutputPort: {
            std::uint8_t port = state_.output_port;
            if (state_.status & i8042::status::OBF) port |= i8042::output_port::OBF_INTERRUPT;
            put(port, Source::kController);
            break;
        }
        case Command::kWriteOutputPort:
        case Command::kWriteKeyboardOutput:
        case Command::kWriteAuxOutput:
        case Command::kWriteAux: state_.command = value; break;
        default: break; // unknown commands do nothing
    }
    return false;
}

bool I8042::write_data(std::uint8_t value) {
    state_.status = static_cast<std::uint8_t>(state_.status & ~i8042::status::CMD);
    const std::uint8_t command = std::exchange(state_.command, std::uint8_t{0});
    const auto first_write = static_cast<std::uint8_t>(Command::kWriteMemory);
    if (command >= first_write && command < first_write + i8042::kMemorySize) {
        state_.memory[command - first_write] = value;
        return false;
    }
    switch (static_cast<Command>(command)) {
        case Command::kWriteOutputPort:
            state_.output_port = value & (i8042::output_port::NOT_RESET | i8042::output_port::A20);
            return !(value & i8042::output_port::NOT_RESET);
        case Command::kWriteKeyboardOutput:
        // Without an auxiliary port its loopback comes out as the keyboard's, which tells a driver that there is none.
        case Command::kWriteAuxOutput: put(value, Source::kController); break;
        case Command::kWriteAux: put(i8042::kNoAnswer, Source::kNoAuxiliary); break;
        default: // for the keyboard; the attempt to send to it enables its interface
            state_.memory[0] = static_cast<std::uint8_t>(state_.memory[0] & ~i8042::command_byte::DISABLE_KEYBOARD);
            put(i8042::kNoAnswer, Source::kNobody);
            break;
    }
    return false;
}

std::uint8_t I8042::DataPort::read_byte(std::uint64_t) {
    const std::scoped_lock lock(device_.mutex_);
    namespace status = i8042::status;
    device_.state_.status =
        static_cast<std::uint8_t>(device_.state_.status & ~(status::OBF | status::AUX_OBF | status::TIMEOUT));
    device_.update_interrupts();
    return device_.state_.output;
}

void I8042::DataPort::write_byte(std::uint64_t, std::uint8_t value) {
    bool reset = false;
    {
        const std::scoped_lock lock(device_.mutex_);
        reset = device_.write_data(value);
        device_.update_interrupts();
    }
    if (reset) device_.on_reset_();
}

std::uint8_t I8042::CommandPort::read_byte(std::uint64_t) {
    const std::scoped_lock lock(device_.mutex_);
    return device_.state_.status;
}

void I8042::CommandPort::write_byte(std::uint64_t, std::uint8_t value) {
    bool reset = false;
    {
        const std::scoped_lock lock(device_.mutex_);
        reset = device_.execute(value);
        device_.update_interrupts();
    }
    if (reset) device_.on_reset_();
}

void I8042::reset() {
    const std::scoped_lock lock(mutex_);
    state_ = {};
    update_interrupts();
}

migration::Record I8042::save() const {
    const std::scoped_lock lock(mutex_);
    return migration::save_record("i8042", state_);
}

std::expected<void, migration::RestoreError> I8042::restore(const migration::Record& record) {
    const auto state = migration::load_record<I8042State>(record);
    if (!state) return std::unexpected(state.error());
    const std::scoped_lock lock(mutex_);
    state_ = *state;
    update_interrupts();
    return {};
}

} // namespace touka::devices
