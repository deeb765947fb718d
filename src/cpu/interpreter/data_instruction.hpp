// Data instructions that are executed from their description: masked moves, gathers and scatters (faults
// element by element),
// MXCSR, and the FXSAVE and XSAVE families.
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// @return the function for the mnemonic, or nullptr when it is not one of these. All checks (availability, alignment,
///         privilege) are inside.
[[nodiscard]] ExecuteFunction find_data_instruction(ZydisMnemonic mnemonic);

} // namespace touka::cpu::interpreter
