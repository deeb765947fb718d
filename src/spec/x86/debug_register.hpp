// Debug registers. (AMD64 Architecture Programmer's Manual vol. 2 rev. 3.42 §13.1.1; Intel SDM vol. 3 rev. 084 §18.2)
#pragma once

#include <cstdint>

namespace touka::spec::x86 {

namespace dr6 {
inline constexpr std::uint64_t B0 = 1u << 0, BD = 1u << 13, BS = 1u << 14, BT = 1u << 15;
/// Bits that always read one, and those that software can change.
inline constexpr std::uint64_t kFixed = 0xFFFF'0FF0, kWritable = 0xE00F;
} // namespace dr6

namespace dr7 {
inline constexpr std::uint64_t GD = 1u << 13;
inline constexpr std::uint64_t kEnables = 0xFF; ///< L0, G0 to L3, G3
inline constexpr std::uint64_t kFixed = 0x400, kWritable = 0xFFFF'23FF;
} // namespace dr7
static_assert((dr6::kFixed & dr6::kWritable) == 0 && (dr7::kFixed & dr7::kWritable) == 0);

} // namespace touka::spec::x86
