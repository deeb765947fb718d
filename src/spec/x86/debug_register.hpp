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

inline constexpr unsigned kBreakpoints = 4;
/// R/Wn: what breakpoint n is met by.
enum class Condition : std::uint8_t { kExecution, kWrite, kPort, kAccess };
[[nodiscard]] constexpr bool is_enabled(std::uint64_t value, unsigned n) { return (value >> (2 * n) & 3) != 0; }
[[nodiscard]] constexpr Condition condition(std::uint64_t value, unsigned n) {
    return static_cast<Condition>(value >> (16 + 4 * n) & 3);
}
/// LENn: 00b, 01b, 11b and 10b are 1, 2, 4 and 8.
[[nodiscard]] constexpr unsigned length_bytes(std::uint64_t value, unsigned n) {
    const unsigned code = value >> (18 + 4 * n) & 3;
    return code < 2 ? code + 1 : code == 2 ? 8 : 4;
}
} // namespace dr7
static_assert(dr7::condition(0x0007'0000, 0) == dr7::Condition::kAccess && dr7::length_bytes(0x0007'0000, 0) == 2);
static_assert((dr6::kFixed & dr6::kWritable) == 0 && (dr7::kFixed & dr7::kWritable) == 0);

} // namespace touka::spec::x86
