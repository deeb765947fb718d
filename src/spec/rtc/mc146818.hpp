// Registers of the real-time clock and its CMOS memory. (Motorola MC146818 datasheet, 1984, "Registers"; Intel ICH9
// datasheet, order number 316972-004, §13.6)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::rtc {

inline constexpr std::uint16_t kPort = 0x70, kPortCount = 2; // index, data
inline constexpr std::uint8_t kIndexMask = 0x7F;             // bit 7 of the index port gates NMI
inline constexpr unsigned kCmosSize = 128;

enum class Index : std::uint8_t {
    SECONDS = 0x00,
    SECONDS_ALARM = 0x01,
    MINUTES = 0x02,
    MINUTES_ALARM = 0x03,
    HOURS = 0x04,
    HOURS_ALARM = 0x05,
    DAY_OF_WEEK = 0x06, // 1 is Sunday
    DAY_OF_MONTH = 0x07,
    MONTH = 0x08,
    YEAR = 0x09, // in the century
    REGISTER_A = 0x0A,
    REGISTER_B = 0x0B,
    REGISTER_C = 0x0C,
    REGISTER_D = 0x0D,
    CENTURY = 0x32, // where PC firmware keeps it; FADT CENTURY says so
};
/// An alarm byte of 11xx'xxxxb matches any value.
inline constexpr std::uint8_t kAlarmDontCare = 0xC0;
inline constexpr std::uint8_t kPm = 0x80; // in the hours, 12-hour mode

using RegisterA = Register<std::uint8_t, struct RegisterATag>;
namespace a {
inline constexpr Field<RegisterATag, 0, 4, std::uint8_t> RS; // rate selection
inline constexpr Field<RegisterATag, 4, 3, std::uint8_t> DV; // divider: 010b runs with a 32.768 kHz crystal
inline constexpr Field<RegisterATag, 7, 1, bool> UIP;
inline constexpr std::uint8_t kReset = 0x26;
inline constexpr std::uint8_t kDividerRuns = 2;
} // namespace a

/// Register B's interrupt enables have the places of register C's flags.
namespace b {
inline constexpr std::uint8_t DSE = 0x01, HOURS_24 = 0x02, DM = 0x04, SQWE = 0x08, UIE = 0x10, AIE = 0x20, PIE = 0x40,
                              SET = 0x80;
}
namespace c {
inline constexpr std::uint8_t UF = 0x10, AF = 0x20, PF = 0x40, IRQF = 0x80;
}
namespace d {
inline constexpr std::uint8_t VRT = 0x80; // the battery is good
}
static_assert(c::UF == b::UIE && c::AF == b::AIE && c::PF == b::PIE);

inline constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
/// How long UIP is set before the time changes. (MC146818 table 5: t_BUC)
inline constexpr std::uint64_t kUpdateAheadNs = 244'000;

/// Cycles of the 32.768 kHz crystal per periodic interrupt; 0: none. (MC146818 table 5)
[[nodiscard]] constexpr std::uint32_t periodic_cycles(std::uint8_t rate_selection) {
    if (rate_selection == 0) return 0;
    return rate_selection <= 2 ? 64u << rate_selection : 1u << (rate_selection - 1);
}
inline constexpr std::uint64_t kCrystalHz = 32'768;
static_assert(kCrystalHz / periodic_cycles(6) == 1024 && kCrystalHz / periodic_cycles(1) == 256);

} // namespace touka::spec::rtc
