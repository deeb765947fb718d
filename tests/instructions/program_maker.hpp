// Random programs: many instructions that work on each other's results.
#pragma once

#include <vector>

#include "instructions/form.hpp"
#include "instructions/machine_state.hpp"
#include "instructions/random.hpp"

namespace touka::tests::instructions {

/// Arithmetic of all kinds, loads and stores through several base registers that differ by constants, pushes and pops,
/// calls, jumps forward on flags that were set long before, bounded loops, string instructions; it may lie on two
/// pages. Some end by an access that faults, the others by INT3.
/// @param forms of forms_for_programs() (program_forms.hpp).
[[nodiscard]] Case make_program(const std::vector<Form>& forms, Random& random);

} // namespace touka::tests::instructions
