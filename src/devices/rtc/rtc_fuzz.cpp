// A guest that does anything to the clock: it must neither crash nor hang.
#include <cstddef>
#include <cstdint>

#include "devices/rtc/rtc.hpp"
#include "platform/recording_line.hpp"
#include "runtime/manual_timers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace touka;
    runtime::ManualTimers timers;
    platform::RecordingLine irq8;
    devices::Rtc rtc{irq8, timers, [&] { return static_cast<std::int64_t>(timers.now_ns()); }};
    for (std::size_t i = 0; i + 2 < size && i < 300; i += 3) {
        rtc.write(0, 1, data[i]);
        if (data[i] & 0x80) {
            rtc.write(1, 1, data[i + 1]);
        } else {
            static_cast<void>(rtc.read(1, 1));
            timers.advance(std::uint64_t{data[i + 1]} * 10'000'000);
        }
        if (data[i + 2] != 0xFF) continue;
        migration::Record record = rtc.save();
        record.bytes[data[i + 1] % record.bytes.size()] ^= std::byte{data[i]};
        static_cast<void>(rtc.restore(record));
    }
    return 0;
}
