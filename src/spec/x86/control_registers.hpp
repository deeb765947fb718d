// Control registers and EFER. (AMD64 Architecture Programmer's Manual vol. 2 rev. 3.42 §3.1; Intel SDM vol. 3
// rev. 084 §2.5)
#pragma once

#include <cstdint>

namespace touka::spec::x86 {

namespace cr0 {
inline constexpr std::uint64_t PE = 1u << 0, MP = 1u << 1, EM = 1u << 2, TS = 1u << 3, ET = 1u << 4, NE = 1u << 5,
                               WP = 1u << 16, AM = 1u << 18, NW = 1u << 29, CD = 1u << 30, PG = 1u << 31;
}
namespace cr4 {
inline constexpr std::uint64_t VME = 1u << 0, PVI = 1u << 1, TSD = 1u << 2, DE = 1u << 3, PSE = 1u << 4, PAE = 1u << 5,
                               MCE = 1u << 6, PGE = 1u << 7, PCE = 1u << 8, OSFXSR = 1u << 9, OSXMMEXCPT = 1u << 10,
                               UMIP = 1u << 11, LA57 = 1u << 12, FSGSBASE = 1u << 16, PCIDE = 1u << 17,
                               OSXSAVE = 1u << 18, SMEP = 1u << 20, SMAP = 1u << 21, PKE = 1u << 22;
}
namespace efer {
inline constexpr std::uint64_t SCE = 1u << 0, LME = 1u << 8, LMA = 1u << 10, NXE = 1u << 11, FFXSR = 1u << 14;
}
namespace rflags {
inline constexpr std::uint64_t CF = 1u << 0, FIXED = 1u << 1, PF = 1u << 2, AF = 1u << 4, ZF = 1u << 6, SF = 1u << 7,
                               TF = 1u << 8, IF = 1u << 9, DF = 1u << 10, OF = 1u << 11, IOPL = 3u << 12, NT = 1u << 14,
                               RF = 1u << 16, VM = 1u << 17, AC = 1u << 18, VIF = 1u << 19, VIP = 1u << 20,
                               ID = 1u << 21;
}
static_assert(cr0::PG == 0x8000'0000u && cr4::SMAP == 0x20'0000u && efer::NXE == 0x800u);

} // namespace touka::spec::x86
