// Gathers: loads of elements at addresses from a vector. (APM vol. 4 rev. 3.23, VPGATHERDD and its kin)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// Loads the chosen elements from the lowest to the highest. Each one loaded or left out clears its mask element, so
/// that after a page fault in the middle the instruction goes on where it stopped; only the end clears what is above.
[[nodiscard]] Outcome execute_gather(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
