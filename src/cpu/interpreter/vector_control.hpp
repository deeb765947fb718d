// Instructions on the vector registers as a whole: LDMXCSR, STMXCSR, VZEROUPPER, VZEROALL. (APM vol. 4 rev. 3.23)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// LDMXCSR and VLDMXCSR: #GP(0) for reserved bits.
[[nodiscard]] Outcome execute_ldmxcsr(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_stmxcsr(Processor& p, const Instruction& i);
/// Outside of 64-bit code only registers 0 to 7 are cleared.
[[nodiscard]] Outcome execute_vzeroupper(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_vzeroall(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
