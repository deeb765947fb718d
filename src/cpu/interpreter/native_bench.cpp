// What a data instruction costs when the host runs it for the guest.
#include <benchmark/benchmark.h>

#include <array>
#include <initializer_list>

#include "cpu/interpreter/native.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {
namespace {

void run_natively(benchmark::State& state, std::initializer_list<std::uint8_t> bytes) {
    HostCode code;
    RegisterFile regs;
    reset_x87(regs);
    alignas(64) std::array<std::byte, 64> memory{};
    Instruction i{};
    std::copy(bytes.begin(), bytes.end(), i.bytes.begin());
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderDecodeFull(&decoder, i.bytes.data(), bytes.size(), &i.info, i.operands.data());
    const HostInstruction* host = code.prepare(i);
    if (host == nullptr) return state.SkipWithError("not native");
    for (auto _ : state) benchmark::DoNotOptimize(host->run(regs, memory.data()));
    spill_x87(regs);
}

void integer_vectors(benchmark::State& state) { run_natively(state, {0x66, 0x0F, 0xFE, 0xCA}); } // paddd xmm1, xmm2
void wide_load(benchmark::State& state) { run_natively(state, {0xC5, 0xFE, 0x6F, 0x00}); }       // vmovdqu ymm0, [rax]
void scalar_double(benchmark::State& state) { run_natively(state, {0xF2, 0x0F, 0x58, 0xCA}); }   // addsd xmm1, xmm2
void compare_double(benchmark::State& state) { run_natively(state, {0x66, 0x0F, 0x2E, 0xCA}); }  // ucomisd xmm1, xmm2
void x87_add(benchmark::State& state) { run_natively(state, {0xD8, 0x00}); }                     // fadd dword [rax]
void to_general(benchmark::State& state) { run_natively(state, {0x66, 0x0F, 0xD7, 0xC1}); }      // pmovmskb eax, xmm1

BENCHMARK(integer_vectors);
BENCHMARK(wide_load);
BENCHMARK(scalar_double);
BENCHMARK(compare_double);
BENCHMARK(x87_add);
BENCHMARK(to_general);

} // namespace
} // namespace touka::cpu::interpreter
