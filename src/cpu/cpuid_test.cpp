#include "cpu/cpuid.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "cpu/cpuid_features.hpp"
#include "spec/x86/cpuid.hpp"

namespace touka::cpu {
namespace {

namespace cpuid = spec::x86::cpuid;

constexpr std::uint32_t kAll = ~std::uint32_t{0};

CpuFeatures everything() {
    CpuFeatures f{.leaf1_ecx = kAll,
                  .leaf1_edx = kAll,
                  .leaf7_ebx = kAll,
                  .leaf7_ecx = kAll,
                  .leaf7_edx = kAll,
                  .leaf7_1_eax = kAll,
                  .leaf13_1_eax = kAll,
                  .extended1_ecx = kAll,
                  .extended1_edx = kAll,
                  .extended8_ebx = kAll,
                  .extended21_eax = kAll,
                  .extended21_ecx = kAll,
                  .kvm_eax = kAll,
                  .xcr0 = ~std::uint64_t{0}};
    return f;
}

/// A processor that has every feature there is, with the vendor's way to show caches.
CpuidTable host(bool amd) {
    std::vector<CpuidEntry> entries;
    const auto add = [&](std::uint32_t leaf, CpuidRegisters r) { entries.push_back({leaf, 0, false, r}); };
    const auto sub = [&](std::uint32_t leaf, std::uint32_t n, CpuidRegisters r) {
        entries.push_back({leaf, n, true, r});
    };
    if (amd) {
        add(0, {0x1C, 0x68747541, 0x444D4163, 0x69746E65});
        for (std::uint32_t i = 0; i < 4; ++i) {
            constexpr std::uint32_t kTypeAndLevel[] = {0x21, 0x22, 0x43, 0x63};
            sub(cpuid::kAmdCaches, i, {kTypeAndLevel[i] | 0x1'FC000, 0x01C0'003F, 0x3F, 0});
        }
    } else {
        add(0, {0x1F, 0x756E6547, 0x6C65746E, 0x49656E69});
        sub(cpuid::kCaches, 0, {0xFC00'4121, 0x02C0'003F, 0x3F, 0});
        sub(cpuid::kCaches, 1, {0xFC0F'C163, 0x0280'003F, 0xFFFF, 4});
        add(cpuid::kDescriptors, {0x00FEFF01, 0xF0, 0, 0});
    }
    add(1, {0xA10F11, 0x0510'0800, kAll, kAll});
    add(6, {0x77, 2, 9, 0});
    sub(7, 0, {2, kAll, kAll, kAll});
    sub(7, 1, {kAll, 0, 0, 0});
    sub(0xD, 0, {0x000602E7, 11008, 11008, 0});
    sub(0xD, 1, {0x1F, 4000, 0x1800, 0});
    sub(0xD, 2, {256, 576, 0, 0});
    sub(0xD, 5, {64, 832, 0, 0});
    sub(0xD, 6, {512, 896, 0, 0});
    sub(0xD, 7, {1024, 1408, 0, 0});
    sub(0xD, 9, {8, 2432, 0, 0});
    sub(0xD, 17, {64, 2752, 2, 0});
    sub(0xD, 18, {8192, 2816, 6, 0});
    add(0x8000'0000, {0x8000'0028, 0, 0, 0});
    add(0x8000'0001, {0xA10F11, 0x4000'0000, kAll, kAll});
    add(0x8000'0002, {0x20444D41, 0, 0, 0});
    add(0x8000'0007, {0, 0, 0, kAll});
    add(0x8000'0008, {0x0030'3934, kAll, 0x7063, 0x10007});
    add(0x8000'000A, {1, 0x8000, 0, kAll});
    add(0x8000'001E, {9, 0x0104, 0x0103, 0});
    add(0x8000'0021, {kAll & ~cpuid::extended21_eax::SRSO_NO, 0, cpuid::extended21_ecx::TSA_L1_NO, 0});
    return CpuidTable(std::move(entries));
}

CpuidPolicy policy(std::uint32_t count, std::uint32_t index = 0) {
    return {.features = everything(), .vcpu_count = count, .vcpu_index = index, .tsc_frequency_hz = 2'596'142'000};
}

TEST(CpuidTable, FindsASubleafOnlyWhereThereAreSubleaves) {
    const CpuidTable table({{7, 1, true, {.eax = 2}}, {7, 0, true, {.eax = 1}}, {1, 0, false, {.eax = 3}}});
    EXPECT_EQ(table.lookup(7, 1).eax, 2u);
    EXPECT_EQ(table.lookup(7, 2), CpuidRegisters{});
    EXPECT_EQ(table.lookup(1, 99).eax, 3u);
    EXPECT_EQ(table.lookup(5, 0), CpuidRegisters{});
}

TEST(Cpuid, NeverShowsVirtualizationMonitorOrPerformanceCounters) {
    for (const bool amd : {false, true}) {
        const CpuidTable table = make_cpuid(policy(2), host(amd));
        const CpuidRegisters leaf1 = table.lookup(1, 0);
        EXPECT_EQ(leaf1.ecx & (cpuid::leaf1_ecx::VMX | cpuid::leaf1_ecx::MONITOR | cpuid::leaf1_ecx::SMX |
                               cpuid::leaf1_ecx::PDCM | cpuid::leaf1_ecx::OSXSAVE),
                  0u);
        EXPECT_EQ(table.lookup(0x8000'0001, 0).ecx & (cpuid::extended1_ecx::SVM | cpuid::extended1_ecx::MONITORX), 0u);
        for (const std::uint32_t leaf : {5u, 0xAu, 0x12u, 0x14u, 0x8000'000Au}) {
            EXPECT_EQ(table.lookup(leaf, 0), CpuidRegisters{}) << leaf;
        }
        EXPECT_EQ(table.lookup(6, 0), (CpuidRegisters{.eax = cpuid::thermal_eax::ARAT}));
    }
}

TEST(Cpuid, OffersWhatEngineAndHostBothHave) {
    CpuidPolicy p = policy(1);
    p.features.leaf7_ebx = cpuid::leaf7_ebx::BMI1;
    p.features.extended8_ebx = 1;
    const CpuidTable table = make_cpuid(p, host(true));
    EXPECT_EQ(table.lookup(7, 0).ebx, cpuid::leaf7_ebx::BMI1);
    EXPECT_EQ(table.lookup(0x8000'0008, 0).ebx, 1u);

    const CpuidTable bare({{0, 0, false, {1, 0x68747541, 0x444D4163, 0x69746E65}}});
    EXPECT_EQ(make_cpuid(policy(1), bare).lookup(7, 0).ebx, cpuid::leaf7_ebx::TSC_ADJUST)
        << "only what software provides is left on a host without features";
    EXPECT_EQ(make_cpuid(policy(1), bare).lookup(1, 0).ecx,
              cpuid::leaf1_ecx::X2APIC | cpuid::leaf1_ecx::TSC_DEADLINE | cpuid::leaf1_ecx::HYPERVISOR);
}

TEST(Cpuid, OffersWhatTheEngineEmulatesOnAHostWithoutIt) {
    const CpuidTable bare({{0, 0, false, {1, 0x68747541, 0x444D4163, 0x69746E65}}});
    CpuidPolicy p = policy(1);
    p.emulated.leaf1_ecx = cpuid::leaf1_ecx::PCID | cpuid::leaf1_ecx::VMX;
    EXPECT_NE(make_cpuid(p, bare).lookup(1, 0).ecx & cpuid::leaf1_ecx::PCID, 0u);
    EXPECT_EQ(make_cpuid(p, bare).lookup(1, 0).ecx & cpuid::leaf1_ecx::VMX, 0u) << "is never shown";
    p.features.leaf1_ecx &= ~cpuid::leaf1_ecx::PCID;
    EXPECT_EQ(make_cpuid(p, bare).lookup(1, 0).ecx & cpuid::leaf1_ecx::PCID, 0u) << "the engine has it not";
}

TEST(Cpuid, WithoutTheAvxComponentNothingOfAvxIsLeft) {
    CpuidPolicy p = policy(1);
    p.features.xcr0 = 3;
    const CpuidTable table = make_cpuid(p, host(false));
    EXPECT_EQ(table.lookup(1, 0).ecx & (cpuid::leaf1_ecx::AVX | cpuid::leaf1_ecx::FMA | cpuid::leaf1_ecx::F16C), 0u);
    EXPECT_EQ(table.lookup(7, 0).ebx & (cpuid::leaf7_ebx::AVX2 | cpuid::leaf7_ebx::AVX512F), 0u);
    EXPECT_EQ(table.lookup(7, 0).ecx & (cpuid::leaf7_ecx::VAES | cpuid::leaf7_ecx::PKU), 0u);
    EXPECT_EQ(table.lookup(0xD, 0), (CpuidRegisters{.eax = 3, .ebx = 576, .ecx = 576}));
}

TEST(Cpuid, APartOfAvx512IsNone) {
    CpuidPolicy p = policy(1);
    p.features.xcr0 = 0x27;
    const CpuidTable table = make_cpuid(p, host(false));
    EXPECT_EQ(table.lookup(7, 0).ebx & cpuid::leaf7_ebx::AVX512F, 0u);
    EXPECT_NE(table.lookup(7, 0).ebx & cpuid::leaf7_ebx::AVX2, 0u);
    EXPECT_EQ(table.lookup(0xD, 0).eax, 7u);
    EXPECT_EQ(table.lookup(0xD, 0).ecx, 832u);
    EXPECT_EQ(table.lookup(0xD, 5), CpuidRegisters{});
}

TEST(Cpuid, XsaveSizeIsTheEndOfTheLastOfferedComponent) {
    CpuidPolicy p = policy(1);
    p.features.xcr0 = 0x2E7;
    p.features.leaf7_edx = 0;
    const CpuidTable table = make_cpuid(p, host(false));
    EXPECT_EQ(table.lookup(0xD, 0).ecx, 2440u);
    EXPECT_EQ(table.lookup(0xD, 9), (CpuidRegisters{.eax = 8, .ebx = 2432}));
    EXPECT_EQ(table.lookup(0xD, 1).ecx, 0u) << "no supervisor components";
}

TEST(Cpuid, TopologyIsOneSocketOfCoresWithoutThreads) {
    const CpuidTable table = make_cpuid(policy(6, 5), host(false));
    EXPECT_EQ(table.lookup(0xB, 0), (CpuidRegisters{0, 1, 0x100, 5}));
    EXPECT_EQ(table.lookup(0xB, 1), (CpuidRegisters{3, 6, 0x201, 5}));
    EXPECT_EQ(table.lookup(0xB, 2), (CpuidRegisters{0, 0, 2, 5}));
    EXPECT_EQ(table.lookup(1, 0).ebx, 0x0506'0800u);
    EXPECT_NE(table.lookup(1, 0).edx & cpuid::leaf1_edx::HTT, 0u);
    EXPECT_EQ(table.lookup(4, 0).eax, 0x1C00'0121u) << "level 1: one sharer, 8 core numbers";
    EXPECT_EQ(table.lookup(4, 1).eax, 0x1C01'C163u) << "level 3: all of them";
}

TEST(Cpuid, OneProcessorIsNoMultiprocessor) {
    const CpuidTable table = make_cpuid(policy(1), host(true));
    EXPECT_EQ(table.lookup(1, 0).edx & cpuid::leaf1_edx::HTT, 0u);
    EXPECT_EQ(table.lookup(0x8000'0001, 0).ecx & cpuid::extended1_ecx::CMP_LEGACY, 0u);
    EXPECT_EQ(table.lookup(0xB, 1).eax, 0u);
    EXPECT_EQ(table.lookup(0x8000'0008, 0).ecx, 0u);
}

TEST(Cpuid, AmdLeavesAgreeOnTheTopology) {
    const CpuidTable table = make_cpuid(policy(4, 3), host(true));
    EXPECT_EQ(table.lookup(0x8000'001E, 0), (CpuidRegisters{.eax = 3, .ebx = 3}));
    EXPECT_EQ(table.lookup(0x8000'0008, 0).ecx, 0x2003u);
    EXPECT_EQ(table.lookup(0x8000'001D, 0).eax, 0x21u);
    EXPECT_EQ(table.lookup(0x8000'001D, 3).eax, 0x63u | 3u << 14);
    EXPECT_NE(table.lookup(0x8000'0001, 0).ecx & cpuid::extended1_ecx::CMP_LEGACY, 0u);
    EXPECT_EQ(table.lookup(7, 0).edx & cpuid::leaf7_edx::ARCH_CAPABILITIES, 0u);
    EXPECT_EQ(table.lookup(4, 0), CpuidRegisters{});
}

TEST(Cpuid, ShowsWhatTheHostOrTheEngineIsNotAffectedBy) {
    using namespace cpuid;
    CpuidPolicy p = policy(1);
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x8000'0021, 0).ecx, extended21_ecx::TSA_L1_NO);
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x8000'0021, 0).eax & extended21_eax::SRSO_NO, 0u);
    p.emulated.extended21_eax = extended21_eax::SRSO_NO;
    EXPECT_NE(make_cpuid(p, host(true)).lookup(0x8000'0021, 0).eax & extended21_eax::SRSO_NO, 0u);
}

TEST(Cpuid, IntelFrequencyLeafSurvivesLinuxArithmetic) {
    const CpuidRegisters leaf = make_cpuid(policy(1), host(false)).lookup(0x15, 0);
    const std::uint32_t crystal_khz = leaf.ecx / 1000;
    ASSERT_LT(std::uint64_t{crystal_khz} * leaf.ebx, std::uint64_t{1} << 32);
    const std::uint32_t tsc_khz = crystal_khz * leaf.ebx / leaf.eax;
    EXPECT_NEAR(tsc_khz, 2'596'142, 1);
    EXPECT_EQ(make_cpuid(policy(1), host(true)).lookup(0x15, 0), CpuidRegisters{});
}

TEST(Cpuid, ShowsKvmOnlyWhenAsked) {
    CpuidPolicy p = policy(1);
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x4000'0000, 0).ebx, 0x6B756F54u) << "Touk";
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x4000'0001, 0), CpuidRegisters{});
    p.kvm_paravirtual = true;
    const CpuidTable table = make_cpuid(p, host(true));
    EXPECT_EQ(table.lookup(0x4000'0000, 0), (CpuidRegisters{0x4000'0010, 0x4B4D564B, 0x564B4D56, 0x4D}));
    EXPECT_EQ(table.lookup(0x4000'0001, 0).eax, 0x0100'000Bu);
    EXPECT_EQ(table.lookup(0x4000'0010, 0).eax, 2'596'142u);
    p.features.kvm_eax = 0;
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x4000'0000, 0).ebx, 0x6B756F54u);
}

TEST(Cpuid, AddressSizesFollowHostEngineAndPagingLevels) {
    CpuidPolicy p = policy(1);
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x8000'0008, 0).eax, 52u | 57u << 8);
    p.features.physical_address_bits = 40;
    p.features.leaf7_ecx &= ~cpuid::leaf7_ecx::LA57;
    EXPECT_EQ(make_cpuid(p, host(true)).lookup(0x8000'0008, 0).eax, 40u | 48u << 8);
}

TEST(Cpuid, OfThisHostKeepsVendorAndBrand) {
    const CpuidTable here = host_cpuid();
    const CpuidTable table = make_cpuid(policy(2));
    EXPECT_EQ(table.lookup(0, 0).ebx, here.lookup(0, 0).ebx);
    EXPECT_EQ(table.lookup(1, 0).eax, here.lookup(1, 0).eax);
    EXPECT_EQ(table.lookup(0x8000'0003, 0), here.lookup(0x8000'0003, 0));
    const CpuFeatures offered = features_of(table);
    EXPECT_EQ(offered.leaf7_ebx & ~features_of(here).leaf7_ebx & ~cpuid::leaf7_ebx::TSC_ADJUST, 0u);
}

} // namespace
} // namespace touka::cpu
