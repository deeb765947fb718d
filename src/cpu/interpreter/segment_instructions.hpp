// Instructions about segment registers, descriptor tables and selectors. (AMD64 APM vol. 3 rev. 3.36; Intel SDM vol. 2
// rev. 084)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

// ExecuteFunctions.
/// MOV to and from a segment register; MOV to CS does not decode.
[[nodiscard]] Outcome execute_move_segment(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_push_segment(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_pop_segment(Processor& p, const Instruction& i);
/// LDS, LES, LSS, LFS, LGS.
[[nodiscard]] Outcome execute_load_far_pointer(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_swapgs(Processor& p, const Instruction& i);
/// RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE.
[[nodiscard]] Outcome execute_segment_base(Processor& p, const Instruction& i);

/// LGDT and LIDT; SGDT and SIDT.
[[nodiscard]] Outcome execute_load_table(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_store_table(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_lldt(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_ltr(Processor& p, const Instruction& i);
/// SLDT and STR.
[[nodiscard]] Outcome execute_store_selector(Processor& p, const Instruction& i);

/// LAR and LSL.
[[nodiscard]] Outcome execute_load_rights(Processor& p, const Instruction& i);
/// VERR and VERW.
[[nodiscard]] Outcome execute_verify(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_arpl(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
