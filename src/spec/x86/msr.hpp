// Model-specific registers that guests use. (AMD64 APM vol. 2 rev. 3.42 appendix A; Intel SDM vol. 4 rev. 084 §2.1)
#pragma once

#include <cstdint>

namespace touka::spec::x86::msr {

inline constexpr std::uint32_t kTsc = 0x10, kApicBase = 0x1B, kSpecCtrl = 0x48, kPredCmd = 0x49, kBiosSignId = 0x8B,
                               kMtrrCap = 0xFE, kArchCapabilities = 0x10A, kSysenterCs = 0x174, kSysenterEsp = 0x175,
                               kSysenterEip = 0x176, kMcgCap = 0x179, kMcgStatus = 0x17A, kMcgCtl = 0x17B,
                               kMiscEnable = 0x1A0, kDebugCtl = 0x1D9, kMtrrPhysBase0 = 0x200, kMtrrFix64K = 0x250,
                               kPat = 0x277, kMtrrDefType = 0x2FF, kTscAdjust = 0x3B, kTscDeadline = 0x6E0,
                               kX2apicFirst = 0x800, kX2apicLast = 0x8FF, kXss = 0xDA0, kEfer = 0xC000'0080,
                               kStar = 0xC000'0081, kLstar = 0xC000'0082, kCstar = 0xC000'0083,
                               kSyscallMask = 0xC000'0084, kFsBase = 0xC000'0100, kGsBase = 0xC000'0101,
                               kKernelGsBase = 0xC000'0102, kTscAux = 0xC000'0103;
/// Intel only.
inline constexpr std::uint32_t kPlatformId = 0x17, kFeatureControl = 0x3A;
/// AMD only.
inline constexpr std::uint32_t kAmdSyscfg = 0xC001'0010, kAmdHwcr = 0xC001'0015, kAmdTopMem = 0xC001'001A,
                               kAmdTopMem2 = 0xC001'001D, kAmdNbCfg = 0xC001'001F;
static_assert(kEfer == 0xC0000080u);

} // namespace touka::spec::x86::msr
