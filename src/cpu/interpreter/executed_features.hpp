// What the software engines can execute.
#pragma once

#include "cpu/cpuid.hpp"

namespace touka::cpu::interpreter {

/// Everything that the interpreter executes; what of it the host cannot lend is taken away by make_cpuid.
[[nodiscard]] CpuFeatures executed_features();
/// What of it needs nothing of the host: paging is ours, and so are the bases of segments.
[[nodiscard]] CpuFeatures emulated_features();
/// Whether the host has what every guest of ours is promised (CMPXCHG16B, XSAVE, long mode).
[[nodiscard]] bool host_suffices();

} // namespace touka::cpu::interpreter
