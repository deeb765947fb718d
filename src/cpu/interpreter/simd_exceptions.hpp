// SIMD floating-point exceptions without a SIGFPE: what an instruction raises is found by running it masked on a copy.
// (Intel SDM vol. 1 rev. 084 §11.5, appendix E; AMD64 APM vol. 1 rev. 3.23 §4.9)
#pragma once

#include <optional>

#include "cpu/interpreter/native.hpp"

namespace touka::cpu::interpreter {

/// Runs an instruction while MXCSR unmasks something. Nothing but MXCSR's flags changes when #XM is the answer.
///
/// Invalid, denormal and divide-by-zero are exact, and so is whether #XM comes. Unmasked underflow is taken from a
/// second run under FZ, which reports every tiny result and not only inexact ones. Not exact: PE beside an unmasked OE
/// or UE, which here says that the masked response was inexact, where the processor looks at a result with an unbounded
/// exponent; and the flags of DPPS and DPPD, whose steps processors report one by one.
[[nodiscard]] std::optional<Exception> run_with_unmasked_exceptions(const HostInstruction& instruction,
                                                                    RegisterFile& regs, void* memory);

} // namespace touka::cpu::interpreter
