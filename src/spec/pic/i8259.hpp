// Ports and command words of the 8259A pair. (Intel 8259A datasheet, order number 231468-003, "Programming the 8259A";
// ELCR: Intel ICH9 datasheet, order number 316972-004, §13.4.10, §13.4.11)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::pic {

inline constexpr std::uint16_t kMasterPort = 0x20, kSlavePort = 0xA0, kElcrPort = 0x4D0;
inline constexpr std::uint16_t kPortCount = 2; // of each of the three
inline constexpr unsigned kInputCount = 8;     // of one chip
inline constexpr unsigned kCascadeInput = 2;   // of the master: the slave's INT
inline constexpr unsigned kSpuriousInput = 7;

/// Initialization command word 1, and how the even port tells the command words apart.
using Icw1 = Register<std::uint8_t, struct Icw1Tag>;
namespace icw1 {
inline constexpr Field<Icw1Tag, 0, 1, bool> IC4;
inline constexpr Field<Icw1Tag, 4, 1, bool> D4; // 1: this is ICW1
} // namespace icw1

using Icw4 = Register<std::uint8_t, struct Icw4Tag>;
namespace icw4 {
inline constexpr Field<Icw4Tag, 1, 1, bool> AEOI;
inline constexpr Field<Icw4Tag, 4, 1, bool> SFNM;
} // namespace icw4

using Ocw2 = Register<std::uint8_t, struct Ocw2Tag>;
namespace ocw2 {
inline constexpr Field<Ocw2Tag, 0, 3, std::uint8_t> L;
inline constexpr Field<Ocw2Tag, 5, 1, bool> EOI;
inline constexpr Field<Ocw2Tag, 6, 1, bool> SL;
inline constexpr Field<Ocw2Tag, 7, 1, bool> R;
} // namespace ocw2
static_assert(Ocw2{0x63}.get(ocw2::L) == 3 && Ocw2{0x63}.get(ocw2::SL) && Ocw2{0x63}.get(ocw2::EOI));

using Ocw3 = Register<std::uint8_t, struct Ocw3Tag>;
namespace ocw3 {
inline constexpr Field<Ocw3Tag, 0, 1, bool> RIS;
inline constexpr Field<Ocw3Tag, 1, 1, bool> RR;
inline constexpr Field<Ocw3Tag, 2, 1, bool> P;
inline constexpr Field<Ocw3Tag, 3, 1, bool> D3; // 1 with D4 = 0: this is OCW3, else OCW2
inline constexpr Field<Ocw3Tag, 5, 1, bool> SMM;
inline constexpr Field<Ocw3Tag, 6, 1, bool> ESMM;
} // namespace ocw3
static_assert(Ocw3{0x0B}.get(ocw3::RR) && Ocw3{0x0B}.get(ocw3::RIS));

inline constexpr std::uint8_t kVectorBaseMask = 0xF8; // ICW2
inline constexpr std::uint8_t kPollInterrupt = 0x80;  // poll byte: an interrupt is there
/// Inputs that can be made level triggered: not 0 (timer), 1 (keyboard), 2 (cascade).
inline constexpr std::uint8_t kMasterElcrMask = 0xF8;
/// Not 8 (RTC), 13 (coprocessor error).
inline constexpr std::uint8_t kSlaveElcrMask = 0xDE;

} // namespace touka::spec::pic
