// How many guest instructions a second: loops of integer, memory and call instructions.
#include <benchmark/benchmark.h>

#include <initializer_list>

#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/interpreter/run_loop.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint64_t kIterations = 100'000;

/// Runs a loop that counts RSI down to zero and halts.
void run_loop(benchmark::State& state, std::initializer_list<std::uint8_t> code, double instructions_per_iteration) {
    SmallMachine m;
    m.set_up_long_mode();
    m.place(SmallMachine::kCode, std::span(code.begin(), code.size()));
    for (auto _ : state) {
        m.p.rip = SmallMachine::kCode;
        m.p.run_state = RunState::kRunning;
        m.p.gpr(Gpr::kRdi) = 0x10'0000;
        m.p.gpr(Gpr::kRcx) = 0;
        m.p.gpr(Gpr::kRsi) = kIterations;
        if (execute(m.p) != StopReason::kHalted) state.SkipWithError("did not halt");
    }
    state.counters["guest_instructions"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(kIterations) * instructions_per_iteration,
        benchmark::Counter::kIsRate);
}

void integer_loop(benchmark::State& state) {
    // 1: mov rax,rbx; add rax,rcx; xor rbx,rax; shl rax,3; lea rcx,[rcx+rax*2+1]; cmp rbx,rcx; jb 2f; inc rdx;
    // 2: sub rsi,1; jnz 1b; hlt
    run_loop(state,
             {0x48, 0x89, 0xD8, 0x48, 0x01, 0xC8, 0x48, 0x31, 0xC3, 0x48, 0xC1, 0xE0, 0x03, 0x48, 0x8D, 0x4C, 0x41,
              0x01, 0x48, 0x39, 0xCB, 0x72, 0x03, 0x48, 0xFF, 0xC2, 0x48, 0x83, 0xEE, 0x01, 0x75, 0xE0, 0xF4},
             9.5);
}

void memory_loop(benchmark::State& state) {
    // 1: mov rax,[rdi+rcx*8]; add rax,rdx; mov [rdi+rcx*8+8],rax; movzx edx,byte [rdi+rcx]; push rax; pop rbx; inc rcx;
    // and ecx,255; sub rsi,1; jnz 1b; hlt
    run_loop(state,
             {0x48, 0x8B, 0x04, 0xCF, 0x48, 0x01, 0xD0, 0x48, 0x89, 0x44, 0xCF, 0x08, 0x0F, 0xB6, 0x14, 0x0F, 0x50,
              0x5B, 0x48, 0xFF, 0xC1, 0x81, 0xE1, 0xFF, 0x00, 0x00, 0x00, 0x48, 0x83, 0xEE, 0x01, 0x75, 0xDF, 0xF4},
             10);
}

void call_loop(benchmark::State& state) {
    // 1: call 2f; sub rsi,1; jnz 1b; hlt; 2: add rax,1; ret
    run_loop(state,
             {0xE8, 0x07, 0x00, 0x00, 0x00, 0x48, 0x83, 0xEE, 0x01, 0x75, 0xF5, 0xF4, 0x48, 0x83, 0xC0, 0x01, 0xC3}, 5);
}

BENCHMARK(integer_loop);
BENCHMARK(memory_loop);
BENCHMARK(call_loop);

} // namespace
} // namespace touka::cpu::interpreter
