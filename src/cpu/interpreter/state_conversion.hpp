// Between Processor and the architectural CpuState that all engines share.
#pragma once

#include "cpu/cpu_state.hpp"
#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// @pre the processor is between instructions, on its own thread (x87 registers are brought home).
[[nodiscard]] CpuState capture_state(Processor& p);
/// Takes over a state from anywhere. @return false, with the processor undefined until the next success, when no
/// processor with this CPUID can be in that state: reserved bits, impossible modes, virtual-8086 mode.
[[nodiscard]] bool apply_state(Processor& p, const CpuState& state);

} // namespace touka::cpu::interpreter
