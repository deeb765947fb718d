// Control words of magnetic tapes kept in files. (SIMH Magtape Representation and Handling, B. Supnik, revision of
// 5 May 2017, section "Magtape Representation"; half gaps: SIMH Tape Format Extensions, J. D. Bryan)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::simh {

/// Control words are 32 bits, little-endian.
inline constexpr std::size_t kWordBytes = 4;

inline constexpr std::uint32_t kTapeMark = 0x0000'0000, kEndOfMedium = 0xFFFF'FFFF, kEraseGap = 0xFFFF'FFFE;
/// What a forward reader finds where an odd half of a gap was overwritten: two bytes of gap, then the next word.
inline constexpr std::uint32_t kHalfGap = 0xFFFE'FFFF;
inline constexpr std::size_t kHalfGapBytes = 2;

/// A data record: its length, its bytes, a byte of padding if that is odd, its length again. Bit 31 of both lengths
/// tells that the record was bad when it was read; bits 30 to 24 are zero, the length is not.
inline constexpr std::uint32_t kBadRecord = 0x8000'0000, kReservedBits = 0x7F00'0000, kLengthBits = 0x00FF'FFFF;

/// What a control word says of a tape mark or data record.
[[nodiscard]] constexpr std::uint32_t length_of(std::uint32_t word) { return word & kLengthBits; }
/// A record's data with its padding.
[[nodiscard]] constexpr std::uint64_t padded(std::uint32_t length_bytes) {
    return (std::uint64_t{length_bytes} + 1) & ~std::uint64_t{1};
}
/// How many bytes of the file a tape mark or data record takes.
[[nodiscard]] constexpr std::uint64_t object_bytes(std::uint32_t word) {
    return word == kTapeMark ? kWordBytes : 2 * kWordBytes + padded(length_of(word));
}
static_assert(object_bytes(3) == 12 && object_bytes(kBadRecord | 4) == 12 && object_bytes(kTapeMark) == 4);

} // namespace touka::spec::simh
