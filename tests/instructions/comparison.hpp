#pragma once

#include <string>

#include "instructions/machine_state.hpp"

namespace touka::tests::instructions {

/// What differs between two results of one case, one line each; empty when nothing does.
[[nodiscard]] std::string differences(const Case& test, const Result& expected, const Result& actual);
/// The case as text: disassembly, registers that matter.
[[nodiscard]] std::string describe(const Case& test);

} // namespace touka::tests::instructions
