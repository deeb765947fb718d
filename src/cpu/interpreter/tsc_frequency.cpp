#include "cpu/interpreter/tsc_frequency.hpp"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include <limits>

#include "spec/x86/cpuid.hpp"

namespace touka::cpu::interpreter {

namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

/// A moment on both clocks.
struct Moment {
    std::uint64_t tsc = 0, ns = 0;
};

[[nodiscard]] std::uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

/// The best of a few tries: the one whose clock read took the shortest, since nothing came between.
[[nodiscard]] Moment read_moment() {
    constexpr int kTries = 32;
    Moment best;
    std::uint64_t shortest = std::numeric_limits<std::uint64_t>::max();
    for (int n = 0; n < kTries; ++n) {
        const std::uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();
        if (after - before >= shortest) continue;
        shortest = after - before;
        best = {before + (after - before) / 2, ns};
    }
    return best;
}

[[nodiscard]] std::uint64_t measure() {
    constexpr std::uint64_t kSpanNs = 10'000'000;
    const Moment first = read_moment();
    while (now_ns() - first.ns < kSpanNs) __builtin_ia32_pause();
    const Moment last = read_moment();
    const auto ticks = static_cast<unsigned __int128>(last.tsc - first.tsc);
    return static_cast<std::uint64_t>(ticks * kNsPerSecond / (last.ns - first.ns));
}

/// Leaf 15h: EAX and EBX are the ratio of TSC to crystal, ECX the crystal's frequency; zeros where unknown.
[[nodiscard]] std::uint64_t from_cpuid() {
    std::uint32_t denominator = 0, numerator = 0, crystal_hz = 0, unused = 0;
    if (__get_cpuid(spec::x86::cpuid::kTscCrystal, &denominator, &numerator, &crystal_hz, &unused) == 0) return 0;
    return denominator == 0 ? 0 : std::uint64_t{crystal_hz} * numerator / denominator;
}

} // namespace

std::uint64_t host_tsc_frequency_hz() {
    static const std::uint64_t frequency_hz = [] {
        const std::uint64_t known = from_cpuid();
        return known != 0 ? known : measure();
    }();
    return frequency_hz;
}

} // namespace touka::cpu::interpreter
