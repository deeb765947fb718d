// The keyboard controller, with neither keyboard nor mouse plugged in. (IBM PS/2 Hardware Interface Technical
// Reference, 1990; Intel ICH9 datasheet §5.10)
// A byte for a device is answered as a real controller answers when nobody is there: FEh with the TIMEOUT status, at
// once, so that a driver's probe ends without waiting. There is no auxiliary port: its tests fail.
// Absent: devices, password security, a closed A20 gate (the bit is storage).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>

#include "platform/byte_registers.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "spec/i8042/i8042.hpp"

namespace touka::devices {

/// Saved state.
struct I8042State {
    static constexpr std::uint16_t kVersion = 1;
    std::uint8_t status = spec::i8042::status::NOT_INHIBITED;
    std::uint8_t output = 0; ///< the output buffer
    std::uint8_t output_port = spec::i8042::output_port::NOT_RESET | spec::i8042::output_port::A20;
    std::uint8_t command = 0; ///< that waits for its data byte; 0: none
    std::array<std::uint8_t, spec::i8042::kMemorySize> memory{};
    void describe(auto& archive) { archive(status, output, output_port, command, memory); }
    bool operator==(const I8042State&) const = default;
};

/// Any thread; one lock, above those of the interrupt chips. Ports, one byte each: spec::i8042::kDataPort with the
/// handler data_port(), spec::i8042::kCommandPort with command_port().
class I8042 final : public platform::Device {
public:
    /// @param irq1, irq12 outlive this.
    /// @param on_reset the guest pulsed the processor's reset line. On a vCPU's thread, without our lock; must not
    /// wait.
    I8042(platform::InterruptLine& irq1, platform::InterruptLine& irq12, std::function<void()> on_reset);

    [[nodiscard]] platform::IoHandler& data_port() { return data_port_; }
    [[nodiscard]] platform::IoHandler& command_port() { return command_port_; }

    [[nodiscard]] std::string_view name() const override { return "i8042"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    class DataPort final : public platform::ByteRegisters {
    public:
        explicit DataPort(I8042& device) : device_(device) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        I8042& device_;
    };
    class CommandPort final : public platform::ByteRegisters {
    public:
        explicit CommandPort(I8042& device) : device_(device) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        I8042& device_;
    };
    enum class Source : std::uint8_t { kController, kAuxiliary, kNobody, kNoAuxiliary };

    // @pre for all of these: mutex_ is held. Those that say bool: the guest asked for a reset.
    void put(std::uint8_t value, Source source);
    void update_interrupts();
    [[nodiscard]] bool execute(std::uint8_t command);
    [[nodiscard]] bool write_data(std::uint8_t value);

    platform::InterruptLine& irq1_;
    platform::InterruptLine& irq12_;
    const std::function<void()> on_reset_;
    mutable std::mutex mutex_; // guards what follows
    I8042State state_;
    DataPort data_port_{*this};
    CommandPort command_port_{*this};
};

} // namespace touka::devices
