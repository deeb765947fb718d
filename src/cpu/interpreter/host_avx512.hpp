// Whether the host lends AVX-512.
#pragma once

namespace touka::cpu::interpreter {

/// F, CD, BW, DQ and VL, which all processors since Skylake-SP and Zen 4 have together, with their registers enabled by
/// the host's kernel. Xeon Phi, which has only some of them, counts as a host without AVX-512.
[[nodiscard]] inline bool host_has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

} // namespace touka::cpu::interpreter
