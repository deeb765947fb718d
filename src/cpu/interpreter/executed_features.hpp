// What the software engines can execute.
#pragma once

#include "cpu/cpuid.hpp"

namespace touka::cpu::interpreter {

/// Everything that the interpreter executes; what of it the host cannot lend is taken away by make_cpuid.
[[nodiscard]] CpuFeatures executed_features();
/// Whether the host has what every guest of ours is promised (CMPXCHG16B, XSAVE, long mode).
[[nodiscard]] bool host_suffices();

} // namespace touka::cpu::interpreter
