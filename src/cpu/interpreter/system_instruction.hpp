// The instructions of operating systems, executed from their description.
#pragma once

#include <Zydis/Zydis.h>

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// The function for a mnemonic that is a system instruction or has system forms; nullptr for all others.
/// MOV, PUSH and POP: only for operands that are segment, control or debug registers. JMP, CALL and RET: only far ones
/// (info.meta.branch_type). Instructions that this processor does not have by design (VMCALL, MONITOR, RSM, ...)
/// answer a function that raises #UD.
[[nodiscard]] ExecuteFunction find_system_instruction(ZydisMnemonic mnemonic);

} // namespace touka::cpu::interpreter
