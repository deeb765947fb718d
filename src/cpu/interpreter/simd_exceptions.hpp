// SIMD floating-point exceptions without a SIGFPE: what an instruction raises is found by running it masked on a copy.
// (Intel SDM vol. 1 rev. 084 §11.5, appendix E; AMD64 APM vol. 1 rev. 3.23 §4.9)
#pragma once

#include <optional>

#include "cpu/interpreter/native.hpp"

namespace touka::cpu::interpreter {

/// Runs an instruction while MXCSR unmasks something. Nothing but MXCSR's flags changes when #XM is the answer.
///
/// Exact for invalid, denormal and divide-by-zero, overflow and precision. Unmasked underflow is taken from a second
/// run under FZ, which reports every tiny result and not only inexact ones; whether PE comes with it then follows the
/// rounding to a denormal, where the processor would round to an unbounded exponent.
[[nodiscard]] std::optional<Exception> run_with_unmasked_exceptions(const HostInstruction& instruction,
                                                                    RegisterFile& regs, void* memory);

} // namespace touka::cpu::interpreter
