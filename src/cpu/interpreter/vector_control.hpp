// Instructions on the vector registers as a whole: LDMXCSR, STMXCSR, VZEROUPPER, VZEROALL. (APM vol. 4 rev. 3.23)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// LDMXCSR and VLDMXCSR: #GP(0) for reserved bits.
[[nodiscard]] Outcome execute_ldmxcsr(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_stmxcsr(Processor& p, const Instruction& i);
/// Up to bit 511; of registers 0 to 15, outside of 64-bit code 0 to 7. (SDM vol. 2 rev. 084, VZEROUPPER, VZEROALL)
[[nodiscard]] Outcome execute_vzeroupper(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_vzeroall(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
