#include "cpu/cpuid_features.hpp"

#include "spec/x86/cpuid.hpp"

namespace touka::cpu {

namespace cpuid = spec::x86::cpuid;

namespace {

/// Done by software (ours or the kernel's) with every engine, so that the host need not have them.
constexpr CpuFeatures kEmulated = {
    .leaf1_ecx = cpuid::leaf1_ecx::X2APIC | cpuid::leaf1_ecx::TSC_DEADLINE,
    .leaf7_ebx = cpuid::leaf7_ebx::TSC_ADJUST,
    .leaf7_ecx = cpuid::leaf7_ecx::UMIP,
};

/// Never shown: another hypervisor's tools, power and thermal control, performance monitoring, tracing, processors
/// that differ from each other, and everything with supervisor XSAVE state.
constexpr CpuFeatures kWithheld = {
    .leaf1_ecx = cpuid::leaf1_ecx::DTES64 | cpuid::leaf1_ecx::MONITOR | cpuid::leaf1_ecx::DS_CPL |
                 cpuid::leaf1_ecx::VMX | cpuid::leaf1_ecx::SMX | cpuid::leaf1_ecx::EIST | cpuid::leaf1_ecx::TM2 |
                 cpuid::leaf1_ecx::CNXT_ID | cpuid::leaf1_ecx::SDBG | cpuid::leaf1_ecx::XTPR | cpuid::leaf1_ecx::PDCM |
                 cpuid::leaf1_ecx::DCA | cpuid::leaf1_ecx::OSXSAVE | cpuid::leaf1_ecx::HYPERVISOR,
    .leaf1_edx = cpuid::leaf1_edx::PSN | cpuid::leaf1_edx::DS | cpuid::leaf1_edx::ACPI | cpuid::leaf1_edx::HTT |
                 cpuid::leaf1_edx::TM | cpuid::leaf1_edx::PBE,
    .leaf7_ebx = cpuid::leaf7_ebx::SGX | cpuid::leaf7_ebx::PQM | cpuid::leaf7_ebx::MPX | cpuid::leaf7_ebx::PQE |
                 cpuid::leaf7_ebx::PROCESSOR_TRACE,
    .leaf7_ecx = cpuid::leaf7_ecx::OSPKE | cpuid::leaf7_ecx::WAITPKG | cpuid::leaf7_ecx::CET_SS |
                 cpuid::leaf7_ecx::TME_EN | cpuid::leaf7_ecx::KL | cpuid::leaf7_ecx::BUS_LOCK_DETECT |
                 cpuid::leaf7_ecx::ENQCMD | cpuid::leaf7_ecx::SGX_LC | cpuid::leaf7_ecx::PKS,
    .leaf7_edx = cpuid::leaf7_edx::UINTR | cpuid::leaf7_edx::HYBRID | cpuid::leaf7_edx::PCONFIG |
                 cpuid::leaf7_edx::ARCH_LBR | cpuid::leaf7_edx::CET_IBT | cpuid::leaf7_edx::CORE_CAPABILITIES,
    .leaf13_1_eax = cpuid::leaf13_1_eax::XFD,
    .extended1_ecx = cpuid::extended1_ecx::CMP_LEGACY | cpuid::extended1_ecx::SVM |
                     cpuid::extended1_ecx::EXT_APIC_SPACE | cpuid::extended1_ecx::IBS | cpuid::extended1_ecx::SKINIT |
                     cpuid::extended1_ecx::WDT | cpuid::extended1_ecx::LWP | cpuid::extended1_ecx::NODEID_MSR |
                     cpuid::extended1_ecx::PERFCTR_CORE | cpuid::extended1_ecx::PERFCTR_NB |
                     cpuid::extended1_ecx::PERF_TSC | cpuid::extended1_ecx::PERFCTR_LLC |
                     cpuid::extended1_ecx::MONITORX,
    .xcr0 = cpuid::xcr0::MPX,
};

/// The features that go when an XSAVE component is not there.
void without_avx512(CpuFeatures& f) {
    using namespace cpuid;
    f.xcr0 &= ~xcr0::AVX512;
    f.leaf7_ebx &= ~(leaf7_ebx::AVX512F | leaf7_ebx::AVX512DQ | leaf7_ebx::AVX512_IFMA | leaf7_ebx::AVX512PF |
                     leaf7_ebx::AVX512ER | leaf7_ebx::AVX512CD | leaf7_ebx::AVX512BW | leaf7_ebx::AVX512VL);
    f.leaf7_ecx &= ~(leaf7_ecx::AVX512_VBMI | leaf7_ecx::AVX512_VBMI2 | leaf7_ecx::AVX512_VNNI |
                     leaf7_ecx::AVX512_BITALG | leaf7_ecx::AVX512_VPOPCNTDQ);
    f.leaf7_edx &= ~(leaf7_edx::AVX512_4VNNIW | leaf7_edx::AVX512_4FMAPS | leaf7_edx::AVX512_VP2INTERSECT |
                     leaf7_edx::AVX512_FP16);
    f.leaf7_1_eax &= ~leaf7_1_eax::AVX512_BF16;
}

void without_avx(CpuFeatures& f) {
    using namespace cpuid;
    f.xcr0 &= ~xcr0::AVX;
    f.leaf1_ecx &= ~(leaf1_ecx::AVX | leaf1_ecx::FMA | leaf1_ecx::F16C);
    f.leaf7_ebx &= ~leaf7_ebx::AVX2;
    f.leaf7_ecx &= ~(leaf7_ecx::VAES | leaf7_ecx::VPCLMULQDQ);
    f.leaf7_1_eax &= ~(leaf7_1_eax::AVX_VNNI | leaf7_1_eax::AVX_IFMA);
    f.extended1_ecx &= ~(extended1_ecx::XOP | extended1_ecx::FMA4);
    without_avx512(f);
}

void without_amx(CpuFeatures& f) {
    using namespace cpuid;
    f.xcr0 &= ~xcr0::AMX;
    f.leaf7_edx &= ~(leaf7_edx::AMX_BF16 | leaf7_edx::AMX_TILE | leaf7_edx::AMX_INT8);
    f.leaf7_1_eax &= ~leaf7_1_eax::AMX_FP16;
}

void drop_dependents(CpuFeatures& f) {
    using namespace cpuid;
    if ((f.leaf1_ecx & leaf1_ecx::XSAVE) == 0) {
        f.xcr0 = 0;
        f.leaf13_1_eax = 0;
    }
    if ((f.xcr0 & xcr0::AVX) == 0 || (f.leaf1_ecx & leaf1_ecx::AVX) == 0) without_avx(f);
    if ((f.xcr0 & xcr0::AVX512) != xcr0::AVX512 || (f.leaf7_ebx & leaf7_ebx::AVX512F) == 0) without_avx512(f);
    if ((f.xcr0 & xcr0::AMX) != xcr0::AMX || (f.leaf7_edx & leaf7_edx::AMX_TILE) == 0) without_amx(f);
    if ((f.xcr0 & xcr0::PKRU) == 0) f.leaf7_ecx &= ~leaf7_ecx::PKU;
    if ((f.leaf7_ecx & leaf7_ecx::PKU) == 0) f.xcr0 &= ~xcr0::PKRU;
}

} // namespace

CpuFeatures offered_features(const CpuFeatures& engine, const CpuFeatures& emulated, const CpuidTable& host_table) {
    const CpuFeatures host = features_of(host_table);
    CpuFeatures f = engine;
    const auto apply = [&](auto member) {
        const auto there = host.*member | emulated.*member | kEmulated.*member;
        f.*member = engine.*member & there & ~(kWithheld.*member);
    };
    apply(&CpuFeatures::leaf1_ecx);
    apply(&CpuFeatures::leaf1_edx);
    apply(&CpuFeatures::leaf7_ebx);
    apply(&CpuFeatures::leaf7_ecx);
    apply(&CpuFeatures::leaf7_edx);
    apply(&CpuFeatures::leaf7_1_eax);
    apply(&CpuFeatures::leaf13_1_eax);
    apply(&CpuFeatures::extended1_ecx);
    apply(&CpuFeatures::extended1_edx);
    apply(&CpuFeatures::extended8_ebx);
    apply(&CpuFeatures::extended21_eax);
    apply(&CpuFeatures::extended21_ecx);
    apply(&CpuFeatures::xcr0);
    drop_dependents(f);
    return f;
}

CpuFeatures features_of(const CpuidTable& table) {
    const CpuidRegisters leaf1 = table.lookup(cpuid::kFeatures, 0);
    const CpuidRegisters leaf7 = table.lookup(cpuid::kExtendedFeatures, 0);
    const CpuidRegisters xsave = table.lookup(cpuid::kXsave, 0);
    const CpuidRegisters extended1 = table.lookup(cpuid::kExtendedProcessor, 0);
    const CpuidRegisters sizes = table.lookup(cpuid::kAddressSizes, 0);
    return {
        .leaf1_ecx = leaf1.ecx,
        .leaf1_edx = leaf1.edx,
        .leaf7_ebx = leaf7.ebx,
        .leaf7_ecx = leaf7.ecx,
        .leaf7_edx = leaf7.edx,
        .leaf7_1_eax = table.lookup(cpuid::kExtendedFeatures, 1).eax,
        .leaf13_1_eax = table.lookup(cpuid::kXsave, 1).eax,
        .extended1_ecx = extended1.ecx,
        .extended1_edx = extended1.edx,
        .extended8_ebx = sizes.ebx,
        .extended21_eax = table.lookup(cpuid::kExtendedFeatures2, 0).eax,
        .extended21_ecx = table.lookup(cpuid::kExtendedFeatures2, 0).ecx,
        .kvm_eax = table.lookup(cpuid::kKvmFeatures, 0).eax,
        .xcr0 = xsave.eax | (std::uint64_t{xsave.edx} << 32),
        .physical_address_bits = static_cast<std::uint8_t>(sizes.eax & 0xFF),
    };
}

} // namespace touka::cpu
