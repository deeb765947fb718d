// CPUID leaves and feature bits. (Intel SDM vol. 2A rev. 084, CPUID; AMD64 APM vol. 3 rev. 3.36 appendix E)
#pragma once

#include <cstdint>

namespace touka::spec::x86::cpuid {

inline constexpr std::uint32_t kVendor = 0, kFeatures = 1, kDescriptors = 2, kCaches = 4, kThermal = 6,
                               kExtendedFeatures = 7, kTopology = 0xB, kXsave = 0xD, kTscCrystal = 0x15,
                               kFrequency = 0x16, kHypervisor = 0x4000'0000, kKvmFeatures = 0x4000'0001,
                               kHypervisorTiming = 0x4000'0010, kExtendedMaximum = 0x8000'0000,
                               kExtendedProcessor = 0x8000'0001, kBrandFirst = 0x8000'0002, kBrandLast = 0x8000'0004,
                               kL1Cache = 0x8000'0005, kL2Cache = 0x8000'0006, kPowerManagement = 0x8000'0007,
                               kAddressSizes = 0x8000'0008, kHugePageTlb = 0x8000'0019, kPerformanceHints = 0x8000'001A,
                               kAmdCaches = 0x8000'001D, kAmdTopology = 0x8000'001E, kExtendedFeatures2 = 0x8000'0021;

constexpr std::uint32_t bit(unsigned n) { return std::uint32_t{1} << n; }

/// Leaf 1 ECX.
namespace leaf1_ecx {
inline constexpr std::uint32_t SSE3 = bit(0), PCLMULQDQ = bit(1), DTES64 = bit(2), MONITOR = bit(3), DS_CPL = bit(4),
                               VMX = bit(5), SMX = bit(6), EIST = bit(7), TM2 = bit(8), SSSE3 = bit(9),
                               CNXT_ID = bit(10), SDBG = bit(11), FMA = bit(12), CMPXCHG16B = bit(13), XTPR = bit(14),
                               PDCM = bit(15), PCID = bit(17), DCA = bit(18), SSE4_1 = bit(19), SSE4_2 = bit(20),
                               X2APIC = bit(21), MOVBE = bit(22), POPCNT = bit(23), TSC_DEADLINE = bit(24),
                               AESNI = bit(25), XSAVE = bit(26), OSXSAVE = bit(27), AVX = bit(28), F16C = bit(29),
                               RDRAND = bit(30), HYPERVISOR = bit(31);
}
/// Leaf 1 EDX.
namespace leaf1_edx {
inline constexpr std::uint32_t FPU = bit(0), VME = bit(1), DE = bit(2), PSE = bit(3), TSC = bit(4), MSR = bit(5),
                               PAE = bit(6), MCE = bit(7), CX8 = bit(8), APIC = bit(9), SEP = bit(11), MTRR = bit(12),
                               PGE = bit(13), MCA = bit(14), CMOV = bit(15), PAT = bit(16), PSE36 = bit(17),
                               PSN = bit(18), CLFSH = bit(19), DS = bit(21), ACPI = bit(22), MMX = bit(23),
                               FXSR = bit(24), SSE = bit(25), SSE2 = bit(26), SS = bit(27), HTT = bit(28), TM = bit(29),
                               PBE = bit(31);
}
/// Leaf 7, subleaf 0.
namespace leaf7_ebx {
inline constexpr std::uint32_t FSGSBASE = bit(0), TSC_ADJUST = bit(1), SGX = bit(2), BMI1 = bit(3), HLE = bit(4),
                               AVX2 = bit(5), FDP_EXCPTN_ONLY = bit(6), SMEP = bit(7), BMI2 = bit(8), ERMS = bit(9),
                               INVPCID = bit(10), RTM = bit(11), PQM = bit(12), ZERO_FCS_FDS = bit(13), MPX = bit(14),
                               PQE = bit(15), AVX512F = bit(16), AVX512DQ = bit(17), RDSEED = bit(18), ADX = bit(19),
                               SMAP = bit(20), AVX512_IFMA = bit(21), CLFLUSHOPT = bit(23), CLWB = bit(24),
                               PROCESSOR_TRACE = bit(25), AVX512PF = bit(26), AVX512ER = bit(27), AVX512CD = bit(28),
                               SHA = bit(29), AVX512BW = bit(30), AVX512VL = bit(31);
}
namespace leaf7_ecx {
inline constexpr std::uint32_t AVX512_VBMI = bit(1), UMIP = bit(2), PKU = bit(3), OSPKE = bit(4), WAITPKG = bit(5),
                               AVX512_VBMI2 = bit(6), CET_SS = bit(7), GFNI = bit(8), VAES = bit(9),
                               VPCLMULQDQ = bit(10), AVX512_VNNI = bit(11), AVX512_BITALG = bit(12), TME_EN = bit(13),
                               AVX512_VPOPCNTDQ = bit(14), LA57 = bit(16), RDPID = bit(22), KL = bit(23),
                               BUS_LOCK_DETECT = bit(24), CLDEMOTE = bit(25), MOVDIRI = bit(27), MOVDIR64B = bit(28),
                               ENQCMD = bit(29), SGX_LC = bit(30), PKS = bit(31);
}
namespace leaf7_edx {
inline constexpr std::uint32_t AVX512_4VNNIW = bit(2), AVX512_4FMAPS = bit(3), FSRM = bit(4), UINTR = bit(5),
                               AVX512_VP2INTERSECT = bit(8), MD_CLEAR = bit(10), HYBRID = bit(15), PCONFIG = bit(18),
                               ARCH_LBR = bit(19), CET_IBT = bit(20), AMX_BF16 = bit(22), AVX512_FP16 = bit(23),
                               AMX_TILE = bit(24), AMX_INT8 = bit(25), SPEC_CTRL = bit(26), STIBP = bit(27),
                               L1D_FLUSH = bit(28), ARCH_CAPABILITIES = bit(29), CORE_CAPABILITIES = bit(30),
                               SSBD = bit(31);
}
/// Leaf 7, subleaf 1 EAX.
namespace leaf7_1_eax {
inline constexpr std::uint32_t AVX_VNNI = bit(4), AVX512_BF16 = bit(5), AMX_FP16 = bit(21), AVX_IFMA = bit(23);
}
/// Leaf Dh, subleaf 1 EAX.
namespace leaf13_1_eax {
inline constexpr std::uint32_t XSAVEOPT = bit(0), XSAVEC = bit(1), XGETBV_1 = bit(2), XSAVES = bit(3), XFD = bit(4);
}
/// Leaf 4000'0001h EAX of KVM. (Linux Documentation/virt/kvm/x86/cpuid.rst)
namespace kvm_eax {
inline constexpr std::uint32_t CLOCKSOURCE = bit(0), NOP_IO_DELAY = bit(1), CLOCKSOURCE2 = bit(3), STEAL_TIME = bit(5),
                               CLOCKSOURCE_STABLE = bit(24);
}
/// Leaf 8000'0001h ECX.
namespace extended1_ecx {
inline constexpr std::uint32_t LAHF_LM = bit(0), CMP_LEGACY = bit(1), SVM = bit(2), EXT_APIC_SPACE = bit(3),
                               ALT_MOV_CR8 = bit(4), ABM = bit(5), SSE4A = bit(6), MISALIGN_SSE = bit(7),
                               PREFETCHW = bit(8), OSVW = bit(9), IBS = bit(10), XOP = bit(11), SKINIT = bit(12),
                               WDT = bit(13), LWP = bit(15), FMA4 = bit(16), TCE = bit(17), NODEID_MSR = bit(19),
                               TBM = bit(21), TOPOEXT = bit(22), PERFCTR_CORE = bit(23), PERFCTR_NB = bit(24),
                               DBEXT = bit(26), PERF_TSC = bit(27), PERFCTR_LLC = bit(28), MONITORX = bit(29);
}
/// Leaf 8000'0001h EDX.
namespace extended1_edx {
inline constexpr std::uint32_t SYSCALL = bit(11), NX = bit(20), MMXEXT = bit(22), FFXSR = bit(25), PAGE_1GB = bit(26),
                               RDTSCP = bit(27), LM = bit(29), E3DNOWEXT = bit(30), E3DNOW = bit(31);
}
/// Leaf 8000'0007h EDX.
namespace power_edx {
inline constexpr std::uint32_t INVARIANT_TSC = bit(8);
}
/// Leaf 6 EAX.
namespace thermal_eax {
inline constexpr std::uint32_t ARAT = bit(2);
}
/// Leaf 8000'0021h EAX.
namespace extended21_eax {
inline constexpr std::uint32_t LFENCE_SERIALIZING = bit(2), NULL_SELECTOR_CLEARS_BASE = bit(6), SRSO_NO = bit(29);
}
/// Leaf 8000'0021h ECX: not affected by transient scheduler attacks. (AMD, "Technical Guidance for Mitigating Transient
/// Scheduler Attacks", July 2025)
namespace extended21_ecx {
inline constexpr std::uint32_t TSA_SQ_NO = bit(1), TSA_L1_NO = bit(2);
}
/// XCR0 components. (Intel SDM vol. 1 rev. 084 §13.1)
namespace xcr0 {
inline constexpr std::uint64_t X87 = 1, SSE = 2, AVX = 4, MPX = 0x18, AVX512 = 0xE0, PKRU = 0x200, AMX = 0x6'0000;
}
/// The legacy area and the header, before the components of a standard-format XSAVE image. (SDM vol. 1 §13.4)
inline constexpr std::uint32_t kXsaveHeaderEnd = 576;

// Both as processors report them: a Zen 4 with AVX-512 in leaf 7, every x86-64 processor in leaf 8000'0001h.
static_assert((0xF1BF'07ABu & leaf7_ebx::AVX512F) != 0 && (0xF1BF'07ABu & leaf7_ebx::SGX) == 0);
static_assert((0x2FD3'FBFFu & extended1_edx::LM) != 0 && leaf1_ecx::HYPERVISOR == 0x8000'0000u);

} // namespace touka::spec::x86::cpuid
