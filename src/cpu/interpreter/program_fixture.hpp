// Small programs for the tests of the interpreter's core: a machine in 64-bit mode and what its memory and devices saw.
#pragma once

#include <initializer_list>
#include <map>
#include <vector>

#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/interpreter/run_loop.hpp"

namespace touka::cpu::interpreter {

/// Runs machine code at SmallMachine::kCode until HLT. Every exception's handler is a HLT, so that `halted_at` tells
/// what happened.
struct ProgramMachine : SmallMachine {
    static constexpr std::uint64_t kHigh = 0x40'0000; ///< where use_small_pages() works
    static constexpr std::uint64_t kData = 0x10'0000; ///< RAM for the program's data

    explicit ProgramMachine(bool user = false) {
        set_up_long_mode(user);
        for (unsigned vector = 0; vector < 256; ++vector) poke<std::uint8_t>(handler(vector), 0xF4);
    }

    void code(std::initializer_list<std::uint8_t> bytes, std::uint64_t at = kCode) {
        place(at, std::span(bytes.begin(), bytes.size()));
    }

    StopReason run(std::initializer_list<std::uint8_t> bytes) {
        code(bytes);
        p.rip = kCode;
        p.run_state = RunState::kRunning;
        return interpreter::execute(p);
    }
    StopReason run_again(std::uint64_t rip = kCode) {
        p.rip = rip;
        p.run_state = RunState::kRunning;
        return interpreter::execute(p);
    }

    /// The exception whose handler the program halted in, or 256.
    [[nodiscard]] unsigned vector() const {
        const std::uint64_t halt = p.rip - 1;
        return halt >= handler(0) && halt < handler(256) ? static_cast<unsigned>((halt - handler(0)) / 16) : 256;
    }
    /// What the exception pushed. @pre it has an error code.
    [[nodiscard]] std::uint64_t error_code() { return peek(p.gpr(Gpr::kRsp)); }
    [[nodiscard]] std::uint64_t return_rip(bool has_error_code) {
        return peek(p.gpr(Gpr::kRsp) + (has_error_code ? 8 : 0));
    }

    /// Replaces the large page at kHigh by a table, in which all 4 KiB pages are absent.
    void use_small_pages() {
        using namespace spec::x86;
        poke(kDirectory + (kHigh >> 21) * 8, kTable | page_entry::P | page_entry::RW | page_entry::US);
        for (std::uint64_t n = 0; n < 512; ++n) poke<std::uint64_t>(kTable + n * 8, 0);
        flush_tlb(p);
    }
    /// Maps the nth 4 KiB page from kHigh on.
    void map(std::uint64_t n, std::uint64_t physical, std::uint64_t flags) {
        poke(kTable + n * 8, physical | flags);
        flush_tlb(p);
    }
};

} // namespace touka::cpu::interpreter
