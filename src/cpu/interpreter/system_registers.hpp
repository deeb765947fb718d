// Instructions that move control, debug, extended control and model-specific registers, and CPUID.
// (AMD64 APM vol. 3 rev. 3.36 §4; Intel SDM vol. 2 rev. 084)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

// ExecuteFunctions.
[[nodiscard]] Outcome execute_move_control(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_move_debug(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_clts(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_lmsw(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_smsw(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_xgetbv(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_xsetbv(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_rdmsr(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_wrmsr(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_cpuid(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_rdpid(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
