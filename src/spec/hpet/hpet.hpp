// Registers of the high precision event timers. (IA-PC HPET Specification 1.0a, October 2004, §2.3)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::hpet {

inline constexpr std::uint64_t kBase = 0xFED0'0000, kLength = 0x400;

/// Offsets. (§2.3.1 table 2)
enum class Offset : std::uint64_t {
    GCAP_ID = 0x000,
    GEN_CONF = 0x010,
    GINTR_STA = 0x020,
    MAIN_CNT = 0x0F0,
    TIM_CONF = 0x100, // of timer 0; kTimerStride to the next
    TIM_COMP = 0x108,
    TIM_FSB = 0x110,
};
inline constexpr std::uint64_t kTimerStride = 0x20;

/// General capabilities and ID. (§2.3.4)
using Capabilities = Register<std::uint64_t, struct CapabilitiesTag>;
namespace capabilities {
inline constexpr Field<CapabilitiesTag, 0, 8, std::uint8_t> REV_ID;
inline constexpr Field<CapabilitiesTag, 8, 5, std::uint8_t> NUM_TIM_CAP; // number of the last timer
inline constexpr Field<CapabilitiesTag, 13, 1, bool> COUNT_SIZE_CAP;     // 1: 64 bits
inline constexpr Field<CapabilitiesTag, 15, 1, bool> LEG_RT_CAP;
inline constexpr Field<CapabilitiesTag, 16, 16> VENDOR_ID;
inline constexpr Field<CapabilitiesTag, 32, 32> COUNTER_CLK_PERIOD; // femtoseconds, 05F5'E100h at most
} // namespace capabilities

/// General configuration. (§2.3.5)
namespace configuration {
inline constexpr std::uint64_t ENABLE_CNF = 1, LEG_RT_CNF = 2;
}

/// Timer n configuration and capabilities. (§2.3.8)
using TimerConfiguration = Register<std::uint64_t, struct TimerConfigurationTag>;
namespace timer {
inline constexpr Field<TimerConfigurationTag, 1, 1, bool> INT_TYPE_CNF; // 1: level
inline constexpr Field<TimerConfigurationTag, 2, 1, bool> INT_ENB_CNF;
inline constexpr Field<TimerConfigurationTag, 3, 1, bool> TYPE_CNF; // 1: periodic
inline constexpr Field<TimerConfigurationTag, 4, 1, bool> PER_INT_CAP;
inline constexpr Field<TimerConfigurationTag, 5, 1, bool> SIZE_CAP;
inline constexpr Field<TimerConfigurationTag, 6, 1, bool> VAL_SET_CNF;
inline constexpr Field<TimerConfigurationTag, 8, 1, bool> MODE32_CNF;
inline constexpr Field<TimerConfigurationTag, 9, 5, std::uint8_t> INT_ROUTE_CNF;
inline constexpr Field<TimerConfigurationTag, 32, 32> INT_ROUTE_CAP;
/// INT_TYPE, INT_ENB, TYPE, VAL_SET, 32MODE, INT_ROUTE.
inline constexpr std::uint64_t kWritable = 0x3F4E;
} // namespace timer
static_assert(TimerConfiguration{0x2800}.get(timer::INT_ROUTE_CNF) == 20);

} // namespace touka::spec::hpet
