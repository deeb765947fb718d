// The 8254 interval timer and port 61h. (Intel 8254 datasheet, order number 231164-005; Intel ICH9 datasheet §13.7.1)
// Absent: the speaker's sound; parity and channel check bits of port 61h; what pit_channel.hpp lists.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "platform/byte_registers.hpp"
#include "platform/device.hpp"
#include "platform/interrupt_line.hpp"
#include "platform/timer/pit_channel.hpp"
#include "runtime/timers.hpp"

namespace touka::platform {

/// Any thread; one lock, above those of the interrupt chips. Ports: spec::pit::kPort, kPortCount with the handler
/// counter_ports(), spec::pit::kSpeakerPort (one byte) with speaker_port().
class Pit8254 final : public Device {
public:
    /// Interrupts that follow each other faster are coalesced: a guest must not keep the host's reactor busy.
    static constexpr std::uint64_t kMinimumPeriodNs = 50'000;

    /// @param irq0 outlives this, as `timers` does.
    Pit8254(InterruptLine& irq0, runtime::Timers& timers);

    [[nodiscard]] IoHandler& counter_ports() { return counter_ports_; }
    [[nodiscard]] IoHandler& speaker_port() { return speaker_port_; }
    /// The HPET's legacy replacement takes the interrupt over, or gives it back. Any thread.
    void set_interrupt_disconnected(bool disconnected);

    [[nodiscard]] std::string_view name() const override { return "pit"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    class CounterPorts final : public ByteRegisters {
    public:
        explicit CounterPorts(Pit8254& pit) : pit_(pit) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        Pit8254& pit_;
    };
    class SpeakerPort final : public ByteRegisters {
    public:
        explicit SpeakerPort(Pit8254& pit) : pit_(pit) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        Pit8254& pit_;
    };

    void reset_channels();
    void write_control(std::uint8_t value, std::uint64_t now_ns);
    // @pre for the rest: mutex_ is held.
    /// Interrupts if channel 0's output has risen; arms the alarm for the next time.
    void service(std::uint64_t now_ns);
    /// Channel 0 was set up anew.
    void restart(std::uint64_t now_ns);
    void arm(std::uint64_t now_ns);

    InterruptLine& irq0_;
    runtime::Timers& timers_;
    mutable std::mutex mutex_; // guards what follows
    std::array<PitChannel, 3> channels_;
    bool speaker_enabled_ = false;
    bool disconnected_ = false;
    std::uint64_t rise_ns_ = 0; // when channel 0's output rises; 0: not
    CounterPorts counter_ports_{*this};
    SpeakerPort speaker_port_{*this};
    std::unique_ptr<runtime::Timer> alarm_; // last: its callback uses all of the above
};

} // namespace touka::platform
