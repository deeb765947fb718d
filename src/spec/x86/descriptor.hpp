// Segment selectors, segment and system descriptors, gates. (AMD64 Architecture Programmer's Manual vol. 2 rev. 3.42
// §4.5, §4.7, §4.8; Intel SDM vol. 3 rev. 084 §3.4, §5.8, §6.11, §6.14)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::x86 {

/// A segment selector. (APM vol. 2 §4.5.1)
using Selector = Register<std::uint16_t, struct SelectorTag>;
namespace selector {
inline constexpr Field<SelectorTag, 0, 2, std::uint8_t> RPL;
inline constexpr Field<SelectorTag, 2, 1, bool> TI;
inline constexpr Field<SelectorTag, 3, 13, std::uint16_t> INDEX;
} // namespace selector
static_assert(Selector{0x2B}.get(selector::RPL) == 3 && Selector{0x2B}.get(selector::INDEX) == 5);

/// The first eight bytes of a descriptor. (APM vol. 2 §4.7.1)
using Descriptor = Register<std::uint64_t, struct DescriptorTag>;
namespace descriptor {
inline constexpr Field<DescriptorTag, 0, 16, std::uint32_t> LIMIT_LOW;
inline constexpr Field<DescriptorTag, 16, 24, std::uint32_t> BASE_LOW;
inline constexpr Field<DescriptorTag, 40, 4, std::uint8_t> TYPE;
inline constexpr Field<DescriptorTag, 44, 1, bool> S; ///< 1: code or data, 0: system
inline constexpr Field<DescriptorTag, 45, 2, std::uint8_t> DPL;
inline constexpr Field<DescriptorTag, 47, 1, bool> P;
inline constexpr Field<DescriptorTag, 48, 4, std::uint32_t> LIMIT_HIGH;
inline constexpr Field<DescriptorTag, 53, 1, bool> L;
inline constexpr Field<DescriptorTag, 54, 1, bool> DB;
inline constexpr Field<DescriptorTag, 55, 1, bool> G;
inline constexpr Field<DescriptorTag, 56, 8, std::uint32_t> BASE_HIGH;

/// Byte of the descriptor that holds type, S, DPL and P.
inline constexpr std::uint64_t kTypeByteOffset = 5;

[[nodiscard]] constexpr std::uint32_t base(Descriptor d) { return d.get(BASE_HIGH) << 24 | d.get(BASE_LOW); }
/// Limit in bytes, granularity applied.
[[nodiscard]] constexpr std::uint32_t limit(Descriptor d) {
    const std::uint32_t raw = d.get(LIMIT_HIGH) << 16 | d.get(LIMIT_LOW);
    return d.get(G) ? raw << 12 | 0xFFF : raw;
}
/// Bits 8 to 23 of the second word, as a segment register keeps them, without the limit among them.
[[nodiscard]] constexpr std::uint16_t attributes(Descriptor d) {
    return static_cast<std::uint16_t>(d.raw >> 40 & 0xF0FF);
}
} // namespace descriptor
static_assert(descriptor::limit(Descriptor{0x00AF'9B00'0000'FFFF}) == 0xFFFF'FFFF &&
              descriptor::attributes(Descriptor{0x00AF'9B00'0000'FFFF}) == 0xA09B &&
              descriptor::base(Descriptor{0x1200'0034'5678'0000}) == 0x1234'5678);

/// Attribute bits as a segment register keeps them: second word of the descriptor, from bit 8.
namespace attribute {
inline constexpr std::uint16_t kType = 0xF, kAccessed = 0x1, kBusy = 0x2, kWritable = 0x2, kReadable = 0x2,
                               kConforming = 0x4, kExpandDown = 0x4, kCode = 0x8, S = 0x10, DPL = 0x60, P = 0x80,
                               L = 0x2000, DB = 0x4000, G = 0x8000;
inline constexpr unsigned kDplShift = 5;
} // namespace attribute

/// TYPE of a descriptor with S = 0. Types 2, 9, Bh, Ch, Eh and Fh exist in long mode. (APM vol. 2 tables 4-5, 4-6)
enum class SystemType : std::uint8_t {
    kTss16Available = 1,
    kLdt = 2,
    kTss16Busy = 3,
    kCallGate16 = 4,
    kTaskGate = 5,
    kInterruptGate16 = 6,
    kTrapGate16 = 7,
    kTssAvailable = 9,
    kTssBusy = 0xB,
    kCallGate = 0xC,
    kInterruptGate = 0xE,
    kTrapGate = 0xF,
};

/// The first eight bytes of a call, interrupt or trap gate; long mode adds offset bits 63:32 in the next four.
/// (APM vol. 2 §4.7.3, §4.8.3, §4.8.4)
using Gate = Register<std::uint64_t, struct GateTag>;
namespace gate {
inline constexpr Field<GateTag, 0, 16, std::uint32_t> OFFSET_LOW;
inline constexpr Field<GateTag, 16, 16, std::uint16_t> SELECTOR;
inline constexpr Field<GateTag, 32, 5, std::uint8_t> PARAMETER_COUNT; ///< legacy call gates
inline constexpr Field<GateTag, 32, 3, std::uint8_t> IST;             ///< long mode interrupt and trap gates
inline constexpr Field<GateTag, 40, 4, SystemType> TYPE;
inline constexpr Field<GateTag, 44, 1, bool> S;
inline constexpr Field<GateTag, 45, 2, std::uint8_t> DPL;
inline constexpr Field<GateTag, 47, 1, bool> P;
inline constexpr Field<GateTag, 48, 16, std::uint32_t> OFFSET_HIGH;
[[nodiscard]] constexpr std::uint32_t offset(Gate g) { return g.get(OFFSET_HIGH) << 16 | g.get(OFFSET_LOW); }
} // namespace gate
static_assert(gate::offset(Gate{0x1234'8E01'0010'5678}) == 0x1234'5678 &&
              Gate{0x1234'8E01'0010'5678}.get(gate::IST) == 1);

/// Bits 0 to 2 of the error codes that name a selector. (APM vol. 2 §8.4.1)
namespace selector_error {
inline constexpr std::uint32_t EXT = 1, IDT = 2, TI = 4;
}

} // namespace touka::spec::x86
