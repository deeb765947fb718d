// Task-state segments: where the processor finds stacks and the I/O permission map. (AMD64 Architecture Programmer's
// Manual vol. 2 rev. 3.42 §12.2; Intel SDM vol. 3 rev. 084 §8.2.1, §8.6, §8.7)
#pragma once

#include <cstdint>

namespace touka::spec::x86::tss {

/// 16-bit TSS: SPn, then SSn, two bytes each.
inline constexpr std::uint32_t kStack16Offset = 2, kStack16Stride = 4;
/// 32-bit TSS: ESPn, then SSn in a four-byte field.
inline constexpr std::uint32_t kStack32Offset = 4, kStack32Stride = 8;
/// 64-bit TSS: RSP0 to RSP2, and IST1 to IST7.
inline constexpr std::uint32_t kRsp0Offset = 0x04, kIst1Offset = 0x24;
/// 32- and 64-bit TSS: two bytes, offset of the I/O permission bitmap from the TSS's base.
inline constexpr std::uint32_t kIoMapBaseOffset = 0x66;
/// Size of the fixed part of 32- and 64-bit TSSs.
inline constexpr std::uint32_t kBytes = 0x68;
static_assert(kIst1Offset == kRsp0Offset + 3 * 8 + 8 && kIoMapBaseOffset + 2 == kBytes);

} // namespace touka::spec::x86::tss
