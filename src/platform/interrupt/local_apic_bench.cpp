// What an interrupt costs before the processor is told: interprocessor, from a device by message, and the owner's side.
#include <benchmark/benchmark.h>

#include "platform/interrupt/interrupt_chips.hpp"
#include "platform/interrupt/recording_processor.hpp"
#include "runtime/manual_timers.hpp"

namespace touka::platform {
namespace {

constexpr std::uint32_t kVector = 0x41;
constexpr std::uint64_t kToSecond = std::uint64_t{1} << 32;

struct Board {
    Board() {
        for (std::uint32_t i = 0; i < 2; ++i) {
            chips.local_apic(i).connect(processors[i], [] { return 0; });
            chips.local_apic(i).write_page(0xF0, 0x1FF);
            static_cast<void>(chips.local_apic(i).write_msr(0x1B, *chips.local_apic(i).read_msr(0x1B) | 0x400));
        }
    }
    void serve() {
        LocalApic& apic = chips.local_apic(1);
        if (apic.has_interrupt()) benchmark::DoNotOptimize(apic.acknowledge());
        static_cast<void>(apic.write_msr(0x80B, 0));
    }
    runtime::ManualTimers timers;
    RecordingProcessor processors[2];
    InterruptChips chips{2, 1'000'000'000, timers};
};

void ipi_round(benchmark::State& state) {
    Board board;
    for (auto _ : state) {
        static_cast<void>(board.chips.local_apic(0).write_msr(0x830, kToSecond | kVector));
        board.serve();
    }
}
BENCHMARK(ipi_round);

void ipi_sent_to_one_that_has_it_already(benchmark::State& state) {
    Board board;
    for (auto _ : state) static_cast<void>(board.chips.local_apic(0).write_msr(0x830, kToSecond | kVector));
}
BENCHMARK(ipi_sent_to_one_that_has_it_already);

void msi_round(benchmark::State& state) {
    Board board;
    for (auto _ : state) {
        board.chips.msi().send({0xFEE0'1000, kVector});
        board.serve();
    }
}
BENCHMARK(msi_round);

void nothing_pending(benchmark::State& state) {
    Board board;
    for (auto _ : state) benchmark::DoNotOptimize(board.chips.local_apic(1).has_interrupt());
}
BENCHMARK(nothing_pending);

} // namespace
} // namespace touka::platform
