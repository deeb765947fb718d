#include "cpu/interpreter/kvm_clock.hpp"

#include <time.h>

#include <atomic>
#include <cstring>

#include "cpu/interpreter/msr.hpp"
#include "cpu/interpreter/tsc_frequency.hpp"
#include "spec/x86/cpuid.hpp"

namespace touka::cpu::interpreter {

using namespace spec::kvm;

namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

[[nodiscard]] std::uint64_t to_ns(const SystemTime& time, std::uint64_t tsc) {
    const auto shifted = static_cast<unsigned __int128>(tsc) << time.tsc_shift;
    return static_cast<std::uint64_t>(shifted * time.tsc_to_system_mul >> 32);
}

[[nodiscard]] std::uint64_t utc_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Writes a structure that begins with a version: odd first, then the contents, then even.
template <class Structure>
void publish(Processor& p, std::uint64_t address, Structure contents) {
    constexpr std::size_t kVersionBytes = sizeof contents.version;
    const auto place = p.memory.span(spec::GuestAddress{address}, sizeof contents);
    if (place.empty() || address % alignof(std::uint32_t) != 0) return;
    std::atomic_ref version(*reinterpret_cast<std::uint32_t*>(place.data()));
    contents.version = (version.load(std::memory_order_relaxed) | 1) + 2;
    version.store(contents.version, std::memory_order_release);
    // Stores stay in order on x86 (AMD64 APM vol. 2 rev. 3.42 §7.2), so only the compiler must leave the next ones
    // below.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::memcpy(place.data() + kVersionBytes, reinterpret_cast<const std::byte*>(&contents) + kVersionBytes,
                sizeof contents - kVersionBytes);
    version.store(contents.version + 1, std::memory_order_release);
    p.memory.written(spec::GuestAddress{address}, sizeof contents);
}

} // namespace

bool has_kvm_clock(const Processor& p) {
    constexpr std::uint32_t kBits = spec::x86::cpuid::kvm_eax::CLOCKSOURCE | spec::x86::cpuid::kvm_eax::CLOCKSOURCE2;
    return (p.cpuid.lookup(spec::x86::cpuid::kKvmFeatures, 0).eax & kBits) != 0;
}

SystemTime make_system_time(std::uint64_t tsc_frequency_hz) {
    SystemTime time;
    time.flags = kTscStable;
    // The multiplier has 32 bits, so the clock must be at least as fast as a nanosecond.
    while (tsc_frequency_hz <= kNsPerSecond) {
        tsc_frequency_hz *= 2;
        ++time.tsc_shift;
    }
    time.tsc_to_system_mul = static_cast<std::uint32_t>((kNsPerSecond << 32) / tsc_frequency_hz);
    return time;
}

void write_system_time(Processor& p, std::uint64_t value) {
    p.msr.kvm_system_time = value;
    if ((value & kSystemTimeEnable) != 0)
        publish(p, value & ~kSystemTimeEnable, make_system_time(host_tsc_frequency_hz()));
}

void write_wall_clock(Processor& p, std::uint64_t value) {
    p.msr.kvm_wall_clock = value;
    const std::uint64_t start_ns = utc_ns() - to_ns(make_system_time(host_tsc_frequency_hz()), guest_tsc(p));
    publish(p, value,
            WallClock{.version = 0,
                      .seconds = static_cast<std::uint32_t>(start_ns / kNsPerSecond),
                      .nanoseconds = static_cast<std::uint32_t>(start_ns % kNsPerSecond)});
}

} // namespace touka::cpu::interpreter
