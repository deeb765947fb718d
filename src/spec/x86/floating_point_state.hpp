// x87, SSE and AVX state as memory images and control bits: FXSAVE area, XSAVE area, MXCSR.
// (AMD64 APM vol. 2 rev. 3.42 §11.4.4, §11.5; Intel SDM vol. 1 rev. 084 §8.1, §10.2.3, §10.5.1, §13.4)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::x86 {

/// Offsets in the FXSAVE area, which is also the legacy region of an XSAVE area, and bits of its words.
namespace fxsave {
inline constexpr std::size_t kBytes = 512, kControl = 0, kStatus = 2, kTags = 4, kOpcode = 6, kInstructionPointer = 8,
                             kDataPointer = 16, kMxcsr = 24, kMxcsrMask = 28, kRegisters = 32, kXmm = 160,
                             kRegisterStride = 16;
inline constexpr std::uint16_t kExceptions = 0x3F;      ///< FCW: IM DM ZM OM UM PM; FSW: the flags of the same names
inline constexpr std::uint16_t kErrorSummary = 1u << 7; ///< FSW.ES
inline constexpr std::uint16_t kBusy = 1u << 15;        ///< FSW.B, equal to ES
inline constexpr std::uint16_t kControlBits = 0x1F3F, kControlFixed = 0x0040; ///< FCW: what can be set, what is one
inline constexpr std::uint16_t kTop = 7u << 11;                               ///< FSW.TOP
inline constexpr std::uint16_t kInitialControl = 0x037F;
static_assert(kXmm == kRegisters + 8 * kRegisterStride);
} // namespace fxsave

namespace mxcsr {
inline constexpr std::uint32_t IE = 1u << 0, DE = 1u << 1, ZE = 1u << 2, OE = 1u << 3, UE = 1u << 4, PE = 1u << 5,
                               DAZ = 1u << 6, FZ = 1u << 15;
inline constexpr std::uint32_t kFlags = 0x3F, kMasks = 0x1F80;
inline constexpr unsigned kMaskShift = 7; ///< from a flag to its mask
inline constexpr std::uint32_t kInitial = 0x1F80;
/// MXCSR_MASK of a processor without misaligned SSE mode.
inline constexpr std::uint32_t kValid = 0xFFFF;
static_assert(kFlags << kMaskShift == kMasks);
} // namespace mxcsr

/// The XSAVE area: components, and the header behind the legacy region.
namespace xsave {
inline constexpr std::uint64_t kX87 = 1u << 0, kSse = 1u << 1, kAvx = 1u << 2, kOpmask = 1u << 5, kZmmHi256 = 1u << 6,
                               kHi16Zmm = 1u << 7;
inline constexpr std::uint64_t kAvx512 = kOpmask | kZmmHi256 | kHi16Zmm;
inline constexpr std::size_t kHeader = 512, kXstateBv = 512, kXcompBv = 520, kHeaderEnd = 576;
inline constexpr std::size_t kAvxOffset = 576, kAvxBytes = 256; ///< CPUID leaf Dh, sub-leaf 2
inline constexpr std::size_t kBytes = kAvxOffset + kAvxBytes;   ///< without the components behind AVX's
/// Where those of AVX-512 are differs: Intel's processors leave room for MPX before them, AMD's do not. (SDM vol. 1
/// §13.5.2 to §13.5.6; APM vol. 2 §11.5.3)
inline constexpr std::size_t kOpmaskBytes = 64, kZmmHi256Bytes = 512, kHi16ZmmBytes = 1024;
inline constexpr std::uint64_t kCompacted = std::uint64_t{1} << 63; ///< in XCOMP_BV
static_assert(kBytes == 832);
} // namespace xsave

} // namespace touka::spec::x86
