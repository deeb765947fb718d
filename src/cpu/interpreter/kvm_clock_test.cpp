#include "cpu/interpreter/kvm_clock.hpp"

#include <gtest/gtest.h>
#include <time.h>

#include "cpu/interpreter/msr.hpp"
#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/interpreter/tsc_frequency.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::kvm;

[[nodiscard]] CpuidTable cpuid_with_clock() {
    return CpuidTable({{spec::x86::cpuid::kKvmFeatures, 0, false, {spec::x86::cpuid::kvm_eax::CLOCKSOURCE2, 0, 0, 0}}});
}

TEST(KvmClock, FactorsTurnOneSecondOfTicksIntoOneSecond) {
    for (const std::uint64_t hz :
         {300'000'000ull, 999'999'999ull, 1'000'000'000ull, 2'596'132'000ull, 9'000'000'000ull}) {
        const SystemTime time = make_system_time(hz);
        const auto ns = (static_cast<unsigned __int128>(hz) << time.tsc_shift) * time.tsc_to_system_mul >> 32;
        EXPECT_NEAR(static_cast<double>(ns), 1e9, 2.0) << hz;
    }
}

TEST(KvmClock, IsWrittenWhereTheGuestAsksWithAnEvenVersion) {
    SmallMachine m;
    m.p.cpuid = cpuid_with_clock();
    m.poke<std::uint32_t>(0x9000, 7);
    ASSERT_TRUE(write_msr(m.p, msr::kSystemTime, 0x9000 | kSystemTimeEnable));
    const auto time = m.peek<SystemTime>(0x9000);
    EXPECT_EQ(time.version % 2, 0u);
    EXPECT_GT(time.version, 7u);
    EXPECT_EQ(time.tsc_to_system_mul, make_system_time(host_tsc_frequency_hz()).tsc_to_system_mul);
    EXPECT_EQ(time.flags, kTscStable);
    std::uint64_t value = 0;
    ASSERT_TRUE(read_msr(m.p, msr::kSystemTime, value));
    EXPECT_EQ(value, 0x9001u);
}

TEST(KvmClock, TheWallClockAddedToTheSystemTimeIsNow) {
    SmallMachine m;
    m.p.cpuid = cpuid_with_clock();
    ASSERT_TRUE(write_msr(m.p, msr::kWallClock, 0x9000));
    const auto wall = m.peek<WallClock>(0x9000);
    const SystemTime time = make_system_time(host_tsc_frequency_hz());
    const auto up_ns =
        (static_cast<unsigned __int128>(guest_tsc(m.p)) << time.tsc_shift) * time.tsc_to_system_mul >> 32;
    const double now = wall.seconds + wall.nanoseconds * 1e-9 + static_cast<double>(up_ns) * 1e-9;
    EXPECT_NEAR(now, static_cast<double>(::time(nullptr)), 2.0);
}

TEST(KvmClock, IsAbsentUnlessCpuidShowsIt) {
    SmallMachine m;
    EXPECT_FALSE(write_msr(m.p, msr::kSystemTime, 0x9001));
    EXPECT_EQ(m.peek(0x9000), 0u);
}

TEST(KvmClock, AddressesOutsideOfRamAndOddOnesAreIgnored) {
    SmallMachine m;
    m.p.cpuid = cpuid_with_clock();
    for (const std::uint64_t address : {SmallMachine::kRamBytes - 16, ~std::uint64_t{0} - 7, std::uint64_t{0x9002}})
        EXPECT_TRUE(write_msr(m.p, msr::kSystemTime, address | kSystemTimeEnable));
    EXPECT_EQ(m.peek(0x9000), 0u);
}

} // namespace
} // namespace touka::cpu::interpreter
