// A 16550A serial port whose line is a host byte stream. (National Semiconductor PC16550D datasheet, June 1995)
// Absent: the line's speed (bytes leave and arrive at once; divisor, parity and stop bits are storage), receive
// errors and break from outside, overruns outside of loopback (the stream waits), DMA signals.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/byte_registers.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "runtime/byte_stream.hpp"
#include "runtime/timers.hpp"
#include "spec/uart/uart16550.hpp"

namespace touka::devices {

/// Saved state.
struct Uart16550State {
    static constexpr std::uint16_t kVersion = 1;
    std::uint8_t ier = 0, fcr = 0, lcr = 0, mcr = 0, lsr = 0, msr = 0, scr = 0;
    std::uint16_t divisor = 12;     ///< 9600 baud
    bool thr_empty_pending = false; ///< the THR-empty interrupt waits to be identified
    std::vector<std::uint8_t> received;
    std::vector<std::uint8_t> unsent; ///< written by the guest after the last pause
    void describe(auto& archive) {
        archive(ier, fcr, lcr, mcr, lsr, msr, scr, divisor, thr_empty_pending, received, unsent);
    }
    bool operator==(const Uart16550State&) const = default;
};

/// Any thread. Two locks, never held together: the registers' (above those of the interrupt chips) and the output's,
/// which is held while the stream takes bytes. Ports: spec::uart::kCom1Port or kCom2Port, kPortCount.
/// Output is gathered and given to the stream after kFlushDelayNs, or when kFlushSize bytes are there.
class Uart16550 final : public platform::ByteRegisters, public platform::Device {
public:
    static constexpr std::uint64_t kFlushDelayNs = 1'000'000;
    static constexpr std::size_t kFlushSize = 4096;

    /// @param name "serial0" and so on.
    /// @param line outlives this, as `stream` and `timers` do. The stream's receiver is this port until the end.
    Uart16550(std::string name, platform::InterruptLine& line, runtime::ByteStream& stream, runtime::Timers& timers);
    ~Uart16550() override;

    [[nodiscard]] std::string_view name() const override { return name_; }
    /// Everything written so far has been given to the stream, and no input is taken any more.
    void pause() override;
    void resume() override;
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    /// Takes what fits from the stream. @return how many bytes.
    std::size_t receive(std::span<const std::byte> bytes);
    void send(std::uint8_t value);
    void flush();

    // @pre for the rest: mutex_ is held.
    [[nodiscard]] bool fifos_enabled() const;
    [[nodiscard]] std::size_t capacity() const { return fifos_enabled() ? spec::uart::kFifoSize : 1; }
    [[nodiscard]] bool loops() const { return state_.mcr & spec::uart::mcr::LOOP; }
    [[nodiscard]] std::size_t trigger_level() const;
    [[nodiscard]] std::uint8_t interrupt_identification() const;
    void update_interrupt();
    /// A byte that comes back in loopback.
    void push(std::uint8_t value);
    [[nodiscard]] std::uint8_t pop();
    void write_fcr(std::uint8_t value);
    void write_mcr(std::uint8_t value);
    [[nodiscard]] std::uint8_t read_iir();
    void set_modem_status(std::uint8_t levels);

    const std::string name_;
    platform::InterruptLine& line_;
    runtime::ByteStream& stream_;
    runtime::Timers& timers_;

    mutable std::mutex mutex_; // guards what follows; received and unsent of the state are unused here
    Uart16550State state_;
    std::deque<std::uint8_t> received_;
    bool input_waits_ = false; // the stream has more than fitted
    bool paused_ = false;

    mutable std::mutex output_mutex_; // guards what follows
    std::vector<std::byte> output_;
    std::unique_ptr<runtime::Timer> flush_alarm_; // last: its callback uses all of the above
};

} // namespace touka::devices
