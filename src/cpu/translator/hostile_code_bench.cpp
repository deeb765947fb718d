// Guest code that translating does not pay for, on the translator (engine:0) and on the interpreter (engine:1): by what
// factor a hostile guest can be slower than without translation. (docs/translator-safety.md)
#include <benchmark/benchmark.h>

#include <functional>

#include "cpu/translator/engine_guest.hpp"

namespace touka::cpu::translator {
namespace {

using namespace Xbyak::util;
using Assembler = Xbyak::CodeGenerator;

constexpr std::uint32_t kTurns = 2000;

/// Runs the program on the engine that `state` names, and something after each run; it does `things` of what is
/// measured.
void measure(
    benchmark::State& state, EngineGuest& guest, double things, std::uint64_t rip = EngineGuest::kCode,
    const std::function<void()>& afterwards = [] {}) {
    const bool started = state.range(0) == 0 ? guest.start(TranslatorEngine::create(*guest.m.memory))
                                             : guest.start(interpreter::InterpreterEngine::create(*guest.m.memory));
    if (!started) return state.SkipWithError("this host's processor has no AVX2 or no BMI2");
    for (auto _ : state) {
        guest.run(rip);
        afterwards();
    }
    state.counters["each"] =
        benchmark::Counter(things, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

/// The immediate operand of the next instruction, at every turn.
void rewrites_itself(benchmark::State& state) {
    EngineGuest guest;
    guest.m.p.gpr(Gpr::kRcx) = kTurns;
    guest.code({0xFF, 0x05, 0x01, 0x00, 0x00, 0x00, // L: inc dword [rip+1]
                0xB8, 0x00, 0x00, 0x00, 0x00,       // mov eax,0
                0xFF, 0xC9, 0x75, 0xF1,             // dec ecx; jnz L
                EngineGuest::kOut, EngineGuest::kPort, 0xEB, 0xFE});
    measure(state, guest, kTurns);
}

/// A page with a thousand instructions of code, by a byte that none of them is, and then all of it runs.
void rewrites_its_page(benchmark::State& state) {
    EngineGuest guest;
    constexpr int kInstructions = 1000;
    guest.m.p.gpr(Gpr::kRcx) = 20;
    guest.m.p.gpr(Gpr::kRdi) = EngineGuest::kCode + 0xFFF;
    guest.assemble([](Assembler& a) {
        Xbyak::Label turn;
        a.L(turn);
        a.inc(byte[rdi]);
        for (int n = 0; n < kInstructions; ++n) a.inc(eax);
        a.dec(ecx);
        a.jnz(turn, Assembler::T_NEAR);
    });
    measure(state, guest, 20.0 * kInstructions);
}

/// Over and over in a page's last bytes.
void crosses_pages(benchmark::State& state) {
    EngineGuest guest;
    guest.m.p.gpr(Gpr::kRcx) = kTurns;
    constexpr std::uint64_t kStart = EngineGuest::kCode + 0xFFE;
    guest.code({0xB8, 0x00, 0x00, 0x00, 0x00, // L: mov eax,0, on two pages
                0xFF, 0xC9, 0x75, 0xF7,       // dec ecx; jnz L
                EngineGuest::kOut, EngineGuest::kPort, 0xEB, 0xFE},
               kStart);
    measure(state, guest, kTurns, kStart);
}

/// An exception for each instruction, whose handler steps over it.
void faults_all_the_time(benchmark::State& state) {
    EngineGuest guest;
    guest.m.p.gpr(Gpr::kRcx) = kTurns;
    guest.code({0x0F, 0x0B, 0xFF, 0xC9, 0x75, 0xFA, // L: ud2; dec ecx; jnz L
                EngineGuest::kOut, EngineGuest::kPort, 0xEB, 0xFE});
    constexpr unsigned kInvalidOpcode = 6;
    guest.code({0x48, 0x83, 0x04, 0x24, 0x02, 0x48, 0xCF}, // add qword [rsp],2; iretq
               interpreter::ProgramMachine::handler(kInvalidOpcode));
    measure(state, guest, kTurns);
}

/// Nothing runs twice: a megabyte of code, thrown away each time.
void runs_everything_once(benchmark::State& state) {
    EngineGuest guest;
    constexpr std::uint64_t kStart = 0x20'0000, kBytes = 1 << 20;
    constexpr std::array<std::uint8_t, 8> kPiece{0x48, 0x01, 0xD8, 0x48, 0x8D, 0x4C, 0x18, 0x08}; // add; lea
    for (std::uint64_t at = kStart; at < kStart + kBytes; at += kPiece.size()) guest.m.place(at, kPiece);
    guest.end_at(kStart + kBytes);
    measure(state, guest, static_cast<double>(kBytes / kPiece.size() * 2), kStart,
            [&] { guest.m.memory->written(spec::GuestAddress{kStart}, kBytes); });
}

BENCHMARK(rewrites_itself)->ArgName("engine")->Arg(0)->Arg(1);
BENCHMARK(rewrites_its_page)->ArgName("engine")->Arg(0)->Arg(1);
BENCHMARK(crosses_pages)->ArgName("engine")->Arg(0)->Arg(1);
BENCHMARK(faults_all_the_time)->ArgName("engine")->Arg(0)->Arg(1);
BENCHMARK(runs_everything_once)->ArgName("engine")->Arg(0)->Arg(1);

} // namespace
} // namespace touka::cpu::translator
