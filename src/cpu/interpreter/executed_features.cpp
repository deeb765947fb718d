#include "cpu/interpreter/executed_features.hpp"

#include "cpu/interpreter/host_avx512.hpp"
#include "spec/x86/cpuid.hpp"

namespace touka::cpu::interpreter {

namespace cpuid = spec::x86::cpuid;

namespace {

/// The guest's returns are jumps of the host's: its predictor of returns, which speculative return stack overflow is
/// about, has nothing of the guest's in it. What guests would do against that costs them a tenth of each system call.
constexpr std::uint32_t kNoReturns = cpuid::extended21_eax::SRSO_NO;

void add_avx512(CpuFeatures& f) {
    using namespace cpuid;
    f.leaf7_ebx |= leaf7_ebx::AVX512F | leaf7_ebx::AVX512DQ | leaf7_ebx::AVX512_IFMA | leaf7_ebx::AVX512CD |
                   leaf7_ebx::AVX512BW | leaf7_ebx::AVX512VL;
    f.leaf7_ecx |= leaf7_ecx::AVX512_VBMI | leaf7_ecx::AVX512_VBMI2 | leaf7_ecx::AVX512_VNNI |
                   leaf7_ecx::AVX512_BITALG | leaf7_ecx::AVX512_VPOPCNTDQ;
    f.leaf7_edx |= leaf7_edx::AVX512_VP2INTERSECT;
    f.leaf7_1_eax |= leaf7_1_eax::AVX512_BF16;
    f.xcr0 |= xcr0::AVX512;
}

} // namespace

CpuFeatures executed_features() {
    using namespace cpuid;
    constexpr std::uint32_t kRepeatedInExtended = 0x0183'F3FF; // leaf 1 EDX bits that 8000'0001h EDX shows again
    CpuFeatures f;
    f.leaf1_ecx = leaf1_ecx::SSE3 | leaf1_ecx::PCLMULQDQ | leaf1_ecx::SSSE3 | leaf1_ecx::FMA | leaf1_ecx::CMPXCHG16B |
                  leaf1_ecx::PCID | leaf1_ecx::SSE4_1 | leaf1_ecx::SSE4_2 | leaf1_ecx::X2APIC | leaf1_ecx::MOVBE |
                  leaf1_ecx::POPCNT | leaf1_ecx::TSC_DEADLINE | leaf1_ecx::AESNI | leaf1_ecx::XSAVE | leaf1_ecx::AVX |
                  leaf1_ecx::F16C | leaf1_ecx::RDRAND;
    f.leaf1_edx = leaf1_edx::FPU | leaf1_edx::DE | leaf1_edx::PSE | leaf1_edx::TSC | leaf1_edx::MSR | leaf1_edx::PAE |
                  leaf1_edx::MCE | leaf1_edx::CX8 | leaf1_edx::APIC | leaf1_edx::SEP | leaf1_edx::MTRR |
                  leaf1_edx::PGE | leaf1_edx::MCA | leaf1_edx::CMOV | leaf1_edx::PAT | leaf1_edx::PSE36 |
                  leaf1_edx::CLFSH | leaf1_edx::MMX | leaf1_edx::FXSR | leaf1_edx::SSE | leaf1_edx::SSE2;
    f.leaf7_ebx = leaf7_ebx::FSGSBASE | leaf7_ebx::TSC_ADJUST | leaf7_ebx::BMI1 | leaf7_ebx::AVX2 | leaf7_ebx::SMEP |
                  leaf7_ebx::BMI2 | leaf7_ebx::ERMS | leaf7_ebx::INVPCID | leaf7_ebx::RDSEED | leaf7_ebx::ADX |
                  leaf7_ebx::SMAP | leaf7_ebx::CLFLUSHOPT | leaf7_ebx::CLWB | leaf7_ebx::SHA;
    f.leaf7_ecx = leaf7_ecx::UMIP | leaf7_ecx::RDPID;
    f.leaf7_edx = leaf7_edx::FSRM;
    f.leaf13_1_eax = leaf13_1_eax::XSAVEOPT | leaf13_1_eax::XSAVEC | leaf13_1_eax::XGETBV_1;
    f.extended1_ecx = extended1_ecx::LAHF_LM | extended1_ecx::ABM | extended1_ecx::PREFETCHW;
    f.extended1_edx = (f.leaf1_edx & kRepeatedInExtended) | extended1_edx::SYSCALL | extended1_edx::NX |
                      extended1_edx::PAGE_1GB | extended1_edx::RDTSCP | extended1_edx::LM;
    f.extended21_eax = extended21_eax::LFENCE_SERIALIZING | extended21_eax::NULL_SELECTOR_CLEARS_BASE | kNoReturns;
    f.extended21_ecx = extended21_ecx::TSA_SQ_NO | extended21_ecx::TSA_L1_NO;
    f.kvm_eax = kvm_eax::CLOCKSOURCE | kvm_eax::NOP_IO_DELAY | kvm_eax::CLOCKSOURCE2 | kvm_eax::CLOCKSOURCE_STABLE;
    f.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
    f.leaf7_ecx |= leaf7_ecx::GFNI | leaf7_ecx::VAES | leaf7_ecx::VPCLMULQDQ;
    f.leaf7_1_eax |= leaf7_1_eax::AVX_VNNI;
    if (host_has_avx512()) add_avx512(f);
    return f;
}

CpuFeatures emulated_features() {
    using namespace cpuid;
    CpuFeatures f;
    f.leaf1_ecx = leaf1_ecx::PCID;
    f.leaf1_edx = leaf1_edx::PSE | leaf1_edx::PAE | leaf1_edx::PGE | leaf1_edx::PSE36;
    f.leaf7_ebx = leaf7_ebx::FSGSBASE | leaf7_ebx::SMEP | leaf7_ebx::SMAP | leaf7_ebx::INVPCID;
    f.extended1_edx = extended1_edx::NX | extended1_edx::PAGE_1GB;
    f.extended21_eax = kNoReturns;
    return f;
}

bool host_suffices() {
    const CpuidTable host = host_cpuid();
    const CpuidRegisters leaf1 = host.lookup(cpuid::kFeatures, 0);
    constexpr std::uint32_t kNeeded = cpuid::leaf1_ecx::CMPXCHG16B | cpuid::leaf1_ecx::OSXSAVE;
    const bool has_long_mode = (host.lookup(cpuid::kExtendedProcessor, 0).edx & cpuid::extended1_edx::LM) != 0;
    return has_long_mode && (leaf1.ecx & kNeeded) == kNeeded;
}

} // namespace touka::cpu::interpreter
