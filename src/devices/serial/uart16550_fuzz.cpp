// A guest that does anything to the serial port while its host types: nothing crashes, no byte is taken twice.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "devices/serial/uart16550.hpp"
#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

namespace {

class CountingStream final : public touka::runtime::ByteStream {
public:
    void write(std::span<const std::byte> bytes) override { sent += bytes.size(); }
    void set_receiver(std::function<std::size_t(std::span<const std::byte>)> on_input) override {
        receiver_ = std::move(on_input);
    }
    void resume_input() override { offer(); }
    void offer() {
        const std::size_t taken = receiver_(waiting_);
        if (taken > waiting_.size()) std::abort();
    }
    std::size_t sent = 0;

private:
    std::vector<std::byte> waiting_{40};
    std::function<std::size_t(std::span<const std::byte>)> receiver_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    runtime::ManualTimers timers;
    platform::RecordingLine line;
    CountingStream stream;
    devices::Uart16550 uart{"serial0", line, stream, timers};
    std::size_t written = 0;
    for (std::size_t i = 0; i + 1 < size; i += 2) {
        switch (data[i] >> 4) {
            case 0: uart.write(data[i] & 7, 1, data[i + 1]), ++written; break;
            case 1: static_cast<void>(uart.read(data[i] & 7, 1)); break;
            case 2: stream.offer(); break;
            case 3: timers.advance(std::uint64_t{data[i + 1]} * 100'000); break;
            case 4: uart.pause(), uart.resume(); break;
            case 5: {
                migration::Record record = uart.save();
                record.bytes[data[i + 1] % record.bytes.size()] ^= std::byte{data[i]};
                written += uart.restore(record) ? devices::Uart16550::kFlushSize : 0;
                break;
            }
            default: uart.reset(); break;
        }
    }
    uart.pause();
    if (stream.sent > written) std::abort();
    return 0;
}
