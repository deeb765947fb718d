// Which instructions random programs are made of.
#pragma once

#include <vector>

#include "instructions/form.hpp"

namespace touka::tests::instructions {

/// No jump, no stack, nothing that depends on what lies in memory being valid: a program goes on behind it.
[[nodiscard]] bool is_for_programs(const Decoded& d);
/// All forms of 64-bit code that can be a part of a program.
[[nodiscard]] std::vector<Form> forms_for_programs();

} // namespace touka::tests::instructions
