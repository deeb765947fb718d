#include "devices/serial/uart16550.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::devices {
namespace {

/// A host that keeps what it is given and offers input until it is taken.
class FakeStream final : public runtime::ByteStream {
public:
    void write(std::span<const std::byte> bytes) override {
        ++writes;
        for (const std::byte value : bytes) sent += static_cast<char>(value);
    }
    void set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) override {
        receiver = std::move(on_input);
    }
    void resume_input() override {
        ++resumes;
        offer();
    }
    void type(std::string_view text) {
        waiting += text;
        offer();
    }
    void offer() {
        if (waiting.empty()) return;
        const std::size_t taken = receiver(std::as_bytes(std::span(waiting)));
        waiting.erase(0, taken);
    }

    std::string sent, waiting;
    unsigned writes = 0, resumes = 0;
    std::function<std::size_t(std::span<const std::byte>)> receiver;
};

class Uart16550Test : public testing::Test {
protected:
    void write(std::uint64_t offset, std::uint8_t value) { uart.write(offset, 1, value); }
    std::uint8_t read(std::uint64_t offset) { return static_cast<std::uint8_t>(uart.read(offset, 1)); }
    void print(std::string_view text) {
        for (const char c : text) write(0, static_cast<std::uint8_t>(c));
    }
    void open_interrupts(std::uint8_t ier) {
        write(4, 0x0B);
        write(1, ier);
    }

    runtime::ManualTimers timers;
    platform::RecordingLine line;
    FakeStream stream;
    Uart16550 uart{"serial0", line, stream, timers};
};

TEST_F(Uart16550Test, GathersOutputAndSendsItInOneGo) {
    print("hello");
    EXPECT_EQ(stream.sent, "");
    timers.advance(1'000'000);
    EXPECT_EQ(stream.sent, "hello");
    EXPECT_EQ(stream.writes, 1u);
    print(" again");
    timers.advance(1'000'000);
    EXPECT_EQ(stream.sent, "hello again");
}

TEST_F(Uart16550Test, SendsAFullBufferAtOnce) {
    print(std::string(4096, 'x'));
    EXPECT_EQ(stream.sent.size(), 4096u);
    timers.advance(10'000'000);
    EXPECT_EQ(stream.writes, 1u);
}

TEST_F(Uart16550Test, LosesNothingAtPauseAndEnd) {
    print("before");
    uart.pause();
    EXPECT_EQ(stream.sent, "before");
    {
        Uart16550 other{"serial1", line, stream, timers};
        other.write(0, 1, '!');
    }
    EXPECT_EQ(stream.sent, "before!");
}

TEST_F(Uart16550Test, TheTransmitterIsAlwaysEmpty) {
    print("x");
    EXPECT_EQ(read(5), 0x60);
}

TEST_F(Uart16550Test, EnablingTheTransmitInterruptRaisesItAndReadingIirEndsIt) {
    open_interrupts(0x02);
    EXPECT_TRUE(line.asserted());
    EXPECT_EQ(read(2), 0x02);
    EXPECT_FALSE(line.asserted());
    EXPECT_EQ(read(2), 0x01);
    print("x");
    EXPECT_TRUE(line.asserted());
    write(1, 0x00);
    EXPECT_FALSE(line.asserted());
    write(1, 0x02);
    EXPECT_TRUE(line.asserted());
}

TEST_F(Uart16550Test, Out2GatesTheInterruptLine) {
    write(1, 0x02);
    EXPECT_FALSE(line.asserted());
    EXPECT_EQ(read(2), 0x02);
    write(1, 0x00);
    write(1, 0x02);
    write(4, 0x08);
    EXPECT_TRUE(line.asserted());
}

TEST_F(Uart16550Test, InputWaitsInTheFifoAndInterrupts) {
    write(2, 0x81); // trigger at 8
    open_interrupts(0x01);
    stream.type("abc");
    EXPECT_TRUE(line.asserted());
    EXPECT_EQ(read(2), 0xCC) << "below the trigger: character timeout";
    stream.type("defgh");
    EXPECT_EQ(read(2), 0xC4);
    EXPECT_EQ(read(5), 0x61);
    std::string got;
    while (read(5) & 1) got += static_cast<char>(read(0));
    EXPECT_EQ(got, "abcdefgh");
    EXPECT_FALSE(line.asserted());
    EXPECT_EQ(read(0), 0);
}

TEST_F(Uart16550Test, TheHostWaitsWhileTheFifoIsFull) {
    write(2, 0x01);
    stream.type("0123456789abcdefghij");
    EXPECT_EQ(stream.waiting, "ghij");
    std::string got;
    while (read(5) & 1) got += static_cast<char>(read(0));
    EXPECT_EQ(got, "0123456789abcdefghij");
    EXPECT_EQ(stream.resumes, 1u);
    EXPECT_EQ(read(5) & 0x02, 0) << "no overrun";
}

TEST_F(Uart16550Test, WithoutFifosOneByteIsHeld) {
    stream.type("xy");
    EXPECT_EQ(stream.waiting, "y");
    EXPECT_EQ(read(0), 'x');
    EXPECT_EQ(read(0), 'y');
}

TEST_F(Uart16550Test, InterruptsHaveTheirPriorities) {
    open_interrupts(0x0F);
    write(4, 0x19); // loopback without RTS: CTS falls
    write(0, 'a');
    write(0, 'b'); // overrun without FIFOs
    EXPECT_EQ(read(2), 0x06);
    EXPECT_EQ(read(5), 0x63);
    EXPECT_EQ(read(2), 0x04);
    EXPECT_EQ(read(0), 'b');
    EXPECT_EQ(read(2), 0x02);
    EXPECT_EQ(read(2), 0x00);
    read(6);
    EXPECT_EQ(read(2), 0x01);
}

TEST_F(Uart16550Test, LinuxFindsA16550A) {
    write(1, 0x00);
    EXPECT_EQ(read(1), 0x00);
    write(1, 0x0F);
    EXPECT_EQ(read(1) & 0x0F, 0x0F);
    write(1, 0x00);
    write(4, 0x1A); // loopback with OUT2 and RTS
    EXPECT_EQ(read(6) & 0xF0, 0x90);
    write(4, 0x00);
    EXPECT_EQ(read(6) & 0xF0, 0xB0);
    write(2, 0x01);
    EXPECT_EQ(read(2) >> 6, 3) << "FIFOs that work";
    write(2, 0x00);
    EXPECT_EQ(read(2) >> 6, 0);
    write(7, 0xA5);
    EXPECT_EQ(read(7), 0xA5);
}

TEST_F(Uart16550Test, LoopbackReturnsBytesAndKeepsTheHostOut) {
    write(2, 0x01);
    write(4, 0x10);
    stream.type("out");
    EXPECT_EQ(stream.waiting, "out");
    print("in");
    timers.advance(10'000'000);
    EXPECT_EQ(stream.sent, "");
    EXPECT_EQ(read(0), 'i');
    EXPECT_EQ(read(0), 'n');
    write(4, 0x00);
    stream.offer();
    EXPECT_EQ(read(0), 'o');
}

TEST_F(Uart16550Test, AFullLoopbackFifoReportsAnOverrunOnce) {
    write(2, 0x01);
    write(4, 0x10);
    print("0123456789abcdefX");
    EXPECT_EQ(read(5) & 0x02, 0x02);
    EXPECT_EQ(read(5) & 0x02, 0x00);
    EXPECT_EQ(read(0), '0');
}

TEST_F(Uart16550Test, ModemDeltasShowWhatChangedSinceTheLastRead) {
    write(4, 0x00);
    read(6);
    write(4, 0x10); // all inputs fall
    EXPECT_EQ(read(6), 0x0B);
    write(4, 0x14);
    EXPECT_EQ(read(6), 0x40) << "RI has no rising delta";
    write(4, 0x10);
    EXPECT_EQ(read(6), 0x04);
}

TEST_F(Uart16550Test, TheDivisorLatchHidesDataAndInterruptEnable) {
    write(1, 0x05);
    write(3, 0x83);
    write(0, 0x01);
    write(1, 0x00);
    EXPECT_EQ(read(0), 0x01);
    EXPECT_EQ(read(1), 0x00);
    write(3, 0x03);
    EXPECT_EQ(read(1), 0x05);
    timers.advance(10'000'000);
    EXPECT_EQ(stream.sent, "");
}

TEST_F(Uart16550Test, NoInputIsTakenWhilePaused) {
    uart.pause();
    stream.type("x");
    EXPECT_EQ(stream.waiting, "x");
    uart.resume();
    EXPECT_EQ(read(0), 'x');
}

TEST_F(Uart16550Test, SavedStateComesBackWithInputOutputAndInterrupt) {
    write(3, 0x83);
    write(0, 0x0C);
    write(3, 0x03);
    write(2, 0xC1);
    write(7, 0x77);
    open_interrupts(0x01);
    stream.type("input");
    print("late");
    const auto record = uart.save();

    platform::RecordingLine other_line;
    FakeStream other_stream;
    Uart16550 other{"serial0", other_line, other_stream, timers};
    ASSERT_TRUE(other.restore(record));
    EXPECT_EQ(other.save().bytes, record.bytes);
    EXPECT_TRUE(other_line.asserted());
    EXPECT_EQ(other.read(0, 1), std::uint64_t{'i'});
    timers.advance(1'000'000);
    EXPECT_EQ(other_stream.sent, "late");
}

TEST_F(Uart16550Test, AStateWithAFifoThatCannotBeIsRefused) {
    Uart16550State state;
    state.received.resize(17);
    EXPECT_EQ(uart.restore(migration::save_record("serial0", state)).error(), migration::RestoreError::kDamaged);
}

TEST_F(Uart16550Test, ResetLetsWaitingInputIn) {
    stream.type("ab");
    uart.reset();
    EXPECT_EQ(read(0), 'b') << "what was received is lost, what waited is not";
    EXPECT_EQ(read(1), 0);
}

} // namespace
} // namespace touka::devices
