// How fast the host's time-stamp counter runs.
#pragma once

#include <cstdint>

namespace touka::cpu::interpreter {

/// In Hz: from CPUID 15h where the host says it, else measured over a few milliseconds against CLOCK_MONOTONIC_RAW.
/// The first call measures, later ones answer the same. Any thread.
[[nodiscard]] std::uint64_t host_tsc_frequency_hz();

} // namespace touka::cpu::interpreter
