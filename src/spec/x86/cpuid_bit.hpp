// CPUID feature bits that the interpreter looks at or offers. (AMD64 Architecture Programmer's Manual vol. 3 rev. 3.36
// appendix E; Intel SDM vol. 2 rev. 084, CPUID)
#pragma once

#include <cstdint>

namespace touka::spec::x86::cpuid_bit {

/// Leaf 1, ECX.
namespace leaf1_ecx {
inline constexpr std::uint32_t SSE3 = 1u << 0, PCLMULQDQ = 1u << 1, SSSE3 = 1u << 9, FMA = 1u << 12,
                               CMPXCHG16B = 1u << 13, PCID = 1u << 17, SSE41 = 1u << 19, SSE42 = 1u << 20,
                               X2APIC = 1u << 21, MOVBE = 1u << 22, POPCNT = 1u << 23, TSC_DEADLINE = 1u << 24,
                               AES = 1u << 25, XSAVE = 1u << 26, OSXSAVE = 1u << 27, AVX = 1u << 28, F16C = 1u << 29,
                               RDRAND = 1u << 30, HYPERVISOR = 1u << 31;
}
/// Leaf 1, EDX.
namespace leaf1_edx {
inline constexpr std::uint32_t FPU = 1u << 0, VME = 1u << 1, DE = 1u << 2, PSE = 1u << 3, TSC = 1u << 4, MSR = 1u << 5,
                               PAE = 1u << 6, MCE = 1u << 7, CX8 = 1u << 8, APIC = 1u << 9, SEP = 1u << 11,
                               MTRR = 1u << 12, PGE = 1u << 13, MCA = 1u << 14, CMOV = 1u << 15, PAT = 1u << 16,
                               PSE36 = 1u << 17, CLFSH = 1u << 19, MMX = 1u << 23, FXSR = 1u << 24, SSE = 1u << 25,
                               SSE2 = 1u << 26;
}
/// Leaf 7, subleaf 0, EBX.
namespace leaf7_ebx {
inline constexpr std::uint32_t FSGSBASE = 1u << 0, TSC_ADJUST = 1u << 1, BMI1 = 1u << 3, AVX2 = 1u << 5, SMEP = 1u << 7,
                               BMI2 = 1u << 8, ERMS = 1u << 9, INVPCID = 1u << 10, RDSEED = 1u << 18, ADX = 1u << 19,
                               SMAP = 1u << 20, CLFLUSHOPT = 1u << 23, CLWB = 1u << 24, SHA = 1u << 29;
}
/// Leaf 7, subleaf 0, ECX.
namespace leaf7_ecx {
inline constexpr std::uint32_t UMIP = 1u << 2, RDPID = 1u << 22;
}
/// Leaf 7, subleaf 0, EDX.
namespace leaf7_edx {
inline constexpr std::uint32_t FSRM = 1u << 4, IBRS = 1u << 26, STIBP = 1u << 27, ARCH_CAPABILITIES = 1u << 29,
                               SSBD = 1u << 31;
}
/// Leaf Dh, subleaf 1, EAX.
namespace leaf13_1_eax {
inline constexpr std::uint32_t XSAVEOPT = 1u << 0, XSAVEC = 1u << 1, XGETBV1 = 1u << 2, XSAVES = 1u << 3;
}
/// Leaf 8000'0001h, ECX.
namespace extended1_ecx {
inline constexpr std::uint32_t LAHF_SAHF = 1u << 0, ABM = 1u << 5, MISALIGNED_SSE = 1u << 7, PREFETCHW = 1u << 8;
}
/// Leaf 8000'0001h, EDX; bits 0-9, 12-17, 23 and 24 repeat leaf 1 on AMD processors.
namespace extended1_edx {
inline constexpr std::uint32_t SYSCALL = 1u << 11, NX = 1u << 20, FFXSR = 1u << 25, PAGE1GB = 1u << 26,
                               RDTSCP = 1u << 27, LM = 1u << 29;
}
/// Leaf 8000'0008h, EBX.
namespace extended8_ebx {
inline constexpr std::uint32_t CLZERO = 1u << 0, IBPB = 1u << 12, IBRS = 1u << 14, STIBP = 1u << 15, SSBD = 1u << 24;
}
static_assert(leaf1_ecx::OSXSAVE == 0x0800'0000 && extended1_edx::LM == 0x2000'0000);

} // namespace touka::spec::x86::cpuid_bit
