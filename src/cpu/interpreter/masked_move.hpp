// Moves under a mask: only the chosen elements are accessed, so only they can fault. (APM vol. 4 rev. 3.23, MASKMOVDQU,
// VMASKMOVPS, VPMASKMOVD; vol. 5, MASKMOVQ)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ, both directions.
[[nodiscard]] Outcome execute_masked_move(Processor& p, const Instruction& i);
/// MASKMOVQ, MASKMOVDQU and VMASKMOVDQU. Bytes are stored one by one after all have been checked.
[[nodiscard]] Outcome execute_masked_byte_store(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
