#include "cpu/kvm/kvm_measure.hpp"

#include <gtest/gtest.h>

#include "cpu/kvm/kvm_system.hpp"

namespace touka::cpu::kvm {
namespace {

using Verdict = EngineMeasurement::Verdict;

TEST(KvmMeasure, HardwareIsUsableAndEmulationIsNot) {
    EXPECT_TRUE(judge(2.5e9).usable());
    EXPECT_TRUE(judge(2.5e9).reason.empty());
    const EngineMeasurement slow = judge(0.47e6);
    EXPECT_EQ(slow.verdict, Verdict::kTooSlow);
    EXPECT_EQ(slow.reason, "/dev/kvm runs kernel code at 0.5 MIPS here (a stock kernel would not finish booting)");
}

TEST(KvmMeasure, TellsAMissingDeviceFromAForbiddenOne) {
    EXPECT_EQ(judge(KvmFailure{CpuError::kUnavailable, "there is none"}).verdict, Verdict::kUnavailable);
    EXPECT_EQ(judge(KvmFailure{CpuError::kNoPermission, "not you"}).reason, "not you");
    EXPECT_EQ(judge(KvmFailure{CpuError::kHostFailure, "KVM_CREATE_VM: no"}).verdict, Verdict::kBroken);
}

TEST(KvmMeasure, MeasuresThisHost) {
    const auto system = KvmSystem::open();
    const EngineMeasurement here = measure_kvm();
    if (!system) {
        EXPECT_EQ(here.reason, system.error().text);
        return;
    }
    EXPECT_NE(here.verdict, Verdict::kBroken) << here.reason;
    EXPECT_GT(here.instructions_per_second, 0);
    EXPECT_EQ(here.usable(), here.instructions_per_second >= kSlowestUsable);
}

TEST(KvmMeasure, ShortAndLongMeasurementsAgreeBecauseEntryIsNotCounted) {
    if (!KvmSystem::open()) GTEST_SKIP() << "needs KVM";
    const double brief = measure_kvm(std::chrono::microseconds(100)).instructions_per_second;
    const double longer = measure_kvm(std::chrono::milliseconds(10)).instructions_per_second;
    EXPECT_LT(brief, longer * 10);
    EXPECT_GT(brief, longer / 10);
}

} // namespace
} // namespace touka::cpu::kvm
