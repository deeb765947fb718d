// Gathers and scatters: loads and stores of elements at addresses from a vector. (APM vol. 4 rev. 3.23, VPGATHERDD and
// its kin; Intel SDM vol. 2 rev. 084, VPGATHERDD, VPSCATTERDD and their kin)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// Loads the chosen elements from the lowest to the highest. Each one loaded or left out clears its mask element (its
/// opmask bit, in EVEX encoding), so that after a page fault in the middle the instruction goes on where it stopped;
/// only the end clears what is above.
[[nodiscard]] Outcome execute_gather(Processor& p, const Instruction& i);
/// Likewise stores; of elements that overlap the highest stays.
[[nodiscard]] Outcome execute_scatter(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
