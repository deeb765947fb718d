// ACPI fixed hardware registers and the ICH9's reset registers. (ACPI 6.4 §4.8.3; Intel ICH9 datasheet, order number
// 316972-004, §13.8.3 for the places in the PMBASE block, §13.7.5 for CF9h, §13.7.3 for 92h)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::acpi {

/// The power management block: offsets from PMBASE. (ICH9 §13.8.3)
inline constexpr std::uint16_t kPmBase = 0x600, kPmLength = 0x80;
enum class PmOffset : std::uint8_t {
    PM1_STS = 0x00,  // 16 bits
    PM1_EN = 0x02,   // 16 bits
    PM1_CNT = 0x04,  // 32 bits
    PM_TMR = 0x08,   // 32 bits
    GPE0_STS = 0x20, // 64 bits
    GPE0_EN = 0x28,  // 64 bits
};
inline constexpr unsigned kGpe0Length = 16; // status and enable together
inline constexpr unsigned kSciIrq = 9;

/// PM1 status and enable have the same places. (ACPI 6.4 §4.8.3.1.1 table 4.11, §4.8.3.1.2 table 4.12)
namespace pm1 {
inline constexpr std::uint16_t TMR = 1u << 0, GBL = 1u << 5, PWRBTN = 1u << 8, SLPBTN = 1u << 9, RTC = 1u << 10;
inline constexpr std::uint16_t WAK_STS = 1u << 15; // status only
inline constexpr std::uint16_t kStatusBits = TMR | GBL | PWRBTN | SLPBTN | RTC | WAK_STS;
inline constexpr std::uint16_t kEnableBits = TMR | GBL | PWRBTN | SLPBTN | RTC;
} // namespace pm1

/// PM1 control. (ACPI 6.4 §4.8.3.2.1 table 4.13)
using Pm1Control = Register<std::uint16_t, struct Pm1ControlTag>;
namespace pm1_control {
inline constexpr Field<Pm1ControlTag, 0, 1, bool> SCI_EN;
inline constexpr Field<Pm1ControlTag, 10, 3, std::uint8_t> SLP_TYP;
inline constexpr Field<Pm1ControlTag, 13, 1, bool> SLP_EN; // reads 0
inline constexpr std::uint16_t kStored = 0x1C02;           // SLP_TYP and BM_RLD
/// SLP_TYP of soft off, for \_S5. (ICH9 §13.8.3.3: 111b)
inline constexpr std::uint8_t kSleepTypeS5 = 7;
} // namespace pm1_control
static_assert(Pm1Control{0x3C00}.get(pm1_control::SLP_TYP) == pm1_control::kSleepTypeS5);

/// The power management timer. (ACPI 6.4 §4.8.3.3)
inline constexpr std::uint64_t kPmTimerHz = 3'579'545;

/// Reset control register, port CF9h. (ICH9 §13.7.5)
inline constexpr std::uint16_t kResetControlPort = 0xCF9;
using ResetControl = Register<std::uint8_t, struct ResetControlTag>;
namespace reset_control {
inline constexpr Field<ResetControlTag, 1, 1, bool> SYS_RST;  // 1: hard reset
inline constexpr Field<ResetControlTag, 2, 1, bool> RST_CPU;  // 0 to 1: reset now
inline constexpr Field<ResetControlTag, 3, 1, bool> FULL_RST; // 1: with power cycle
inline constexpr std::uint8_t kStored = 0x0E;
} // namespace reset_control
static_assert(ResetControl{0x06}.get(reset_control::RST_CPU));

/// Fast A20 and INIT register, port 92h. (ICH9 §13.7.3)
inline constexpr std::uint16_t kFastA20Port = 0x92;
namespace fast_a20 {
inline constexpr std::uint8_t INIT_NOW = 0x01, ALT_A20_GATE = 0x02;
}

} // namespace touka::spec::acpi
