// The paravirtual clock of KVM, which Linux, FreeBSD and others read under any hypervisor that shows KVM's CPUID
// leaves. (Linux 6.1 Documentation/virt/kvm/x86/msr.rst §"Custom MSR list")
#pragma once

#include <cstdint>

namespace touka::spec::kvm {

namespace msr {
/// Guest physical addresses; bit 0 of the system time ones enables. The first two are older names.
inline constexpr std::uint32_t kWallClockOld = 0x11, kSystemTimeOld = 0x12, kWallClock = 0x4B56'4D00,
                               kSystemTime = 0x4B56'4D01;
} // namespace msr

inline constexpr std::uint64_t kSystemTimeEnable = 1;

/// struct pvclock_vcpu_time_info. Nanoseconds = system_time + ((TSC - tsc_timestamp) << tsc_shift) * multiplier / 2^32.
struct SystemTime {
    std::uint32_t version = 0; ///< odd while the rest changes
    std::uint32_t padding = 0;
    std::uint64_t tsc_timestamp = 0;
    std::uint64_t system_time = 0;
    std::uint32_t tsc_to_system_mul = 0;
    std::int8_t tsc_shift = 0; ///< negative: to the right
    std::uint8_t flags = 0;
    std::uint8_t padding2[2]{};
};
static_assert(sizeof(SystemTime) == 32);
/// SystemTime::flags: the TSCs of all processors go together.
inline constexpr std::uint8_t kTscStable = 1;

/// struct pvclock_wall_clock: UTC at the moment when the system time was zero.
struct WallClock {
    std::uint32_t version = 0;
    std::uint32_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};
static_assert(sizeof(WallClock) == 12);

} // namespace touka::spec::kvm
