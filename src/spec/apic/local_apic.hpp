// Registers of the local APIC. (Intel SDM vol. 3 rev. 084 §11.4.1 table 11-1, x2APIC §11.12.1.2 table 11-6)
#pragma once

#include <cstdint>

#include "spec/apic/interrupt_message.hpp"
#include "spec/register.hpp"

namespace touka::spec::apic {

/// Offsets into the 4 KiB page. The MSR of x2APIC mode is 800h + offset / 16.
enum class LocalApicRegister : std::uint32_t {
    ID = 0x020,
    VERSION = 0x030,
    TPR = 0x080,
    APR = 0x090,
    PPR = 0x0A0,
    EOI = 0x0B0,
    RRD = 0x0C0,
    LDR = 0x0D0,
    DFR = 0x0E0,
    SVR = 0x0F0,
    ISR = 0x100, // 8 registers, vector 0 in bit 0 of the first
    TMR = 0x180, // 8
    IRR = 0x200, // 8
    ESR = 0x280,
    LVT_CMCI = 0x2F0,
    ICR_LOW = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_PERFORMANCE = 0x340,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL_COUNT = 0x380,
    CURRENT_COUNT = 0x390,
    DIVIDE_CONFIGURATION = 0x3E0,
    SELF_IPI = 0x3F0, // x2APIC mode only
};
inline constexpr std::uint32_t kLocalApicRegisterStride = 16;
inline constexpr std::uint32_t kX2apicMsrBase = 0x800;
static_assert(kX2apicMsrBase + static_cast<std::uint32_t>(LocalApicRegister::ICR_LOW) / 16 == 0x830);

/// An integrated APIC with LVT entries 0..5, without directed EOI. (SDM vol. 3 §11.4.8 figure 11-7)
inline constexpr std::uint32_t kLocalApicVersion = 0x0005'0014;

// IA32_APIC_BASE, MSR 1Bh. (SDM vol. 3 §11.4.4 figure 11-5, §11.12.1 figure 11-26)
using ApicBase = Register<std::uint64_t, struct ApicBaseTag>;
namespace apic_base {
inline constexpr Field<ApicBaseTag, 8, 1, bool> BSP;
inline constexpr Field<ApicBaseTag, 10, 1, bool> EXTD; // x2APIC mode
inline constexpr Field<ApicBaseTag, 11, 1, bool> EN;
inline constexpr std::uint64_t kAddressMask = 0x000F'FFFF'FFFF'F000;
inline constexpr std::uint64_t kDefaultAddress = 0xFEE0'0000;
} // namespace apic_base
static_assert(ApicBase{0xFEE0'0900}.get(apic_base::EN) && ApicBase{0xFEE0'0900}.get(apic_base::BSP));

// Spurious-interrupt vector register. (SDM vol. 3 §11.9 figure 11-23)
using Svr = Register<std::uint32_t, struct SvrTag>;
namespace svr {
inline constexpr Field<SvrTag, 0, 8, std::uint8_t> VECTOR;
inline constexpr Field<SvrTag, 8, 1, bool> ENABLE;
inline constexpr std::uint32_t kReset = 0xFF;
inline constexpr std::uint32_t kWritable = 0x3FF;
} // namespace svr

// One entry of the local vector table. (SDM vol. 3 §11.5.1 figure 11-8)
using Lvt = Register<std::uint32_t, struct LvtTag>;
namespace lvt {
enum class TimerMode : std::uint8_t { kOneShot = 0, kPeriodic = 1, kTscDeadline = 2 };
inline constexpr Field<LvtTag, 0, 8, std::uint8_t> VECTOR;
inline constexpr Field<LvtTag, 8, 3, DeliveryMode> DELIVERY_MODE;
inline constexpr Field<LvtTag, 15, 1, bool> TRIGGER_MODE; // 1: level
inline constexpr Field<LvtTag, 16, 1, bool> MASK;
inline constexpr Field<LvtTag, 17, 2, TimerMode> TIMER_MODE;
inline constexpr std::uint32_t kReset = 0x0001'0000;
// Bits that software can write.
inline constexpr std::uint32_t kTimerWritable = 0x0007'00FF, kMonitorWritable = 0x0001'07FF,
                               kLintWritable = 0x0001'A7FF, kErrorWritable = 0x0001'00FF;
} // namespace lvt
static_assert(Lvt{lvt::kReset}.get(lvt::MASK));

// Interrupt command register: 64 bits, in xAPIC mode as two registers. (SDM vol. 3 §11.6.1 figure 11-12, §11.12.9)
using Icr = Register<std::uint64_t, struct IcrTag>;
namespace icr {
enum class Shorthand : std::uint8_t { kNone = 0, kSelf = 1, kAllIncludingSelf = 2, kAllExcludingSelf = 3 };
inline constexpr Field<IcrTag, 0, 8, std::uint8_t> VECTOR;
inline constexpr Field<IcrTag, 8, 3, DeliveryMode> DELIVERY_MODE;
inline constexpr Field<IcrTag, 11, 1, bool> DESTINATION_MODE; // 1: logical
inline constexpr Field<IcrTag, 14, 1, bool> LEVEL;            // 1: assert
inline constexpr Field<IcrTag, 15, 1, bool> TRIGGER_MODE;     // 1: level
inline constexpr Field<IcrTag, 18, 2, Shorthand> SHORTHAND;
inline constexpr Field<IcrTag, 56, 8> DESTINATION_8;
inline constexpr Field<IcrTag, 32, 32> DESTINATION_32;
inline constexpr std::uint32_t kWritableLow = 0x000C'CFFF;
/// Bits 31:20, 17:16 and 13; writing 1 to one of them in x2APIC mode is #GP.
inline constexpr std::uint32_t kReservedLow = 0xFFF3'2000;
} // namespace icr
static_assert(Icr{0x000C'4500}.get(icr::SHORTHAND) == icr::Shorthand::kAllExcludingSelf);

// Error status register. (SDM vol. 3 §11.5.3 figure 11-9)
namespace esr {
inline constexpr std::uint32_t SEND_ILLEGAL_VECTOR = 1u << 5, RECEIVED_ILLEGAL_VECTOR = 1u << 6,
                               ILLEGAL_REGISTER_ADDRESS = 1u << 7;
}

/// Destination format register: what LDR means in xAPIC mode. (SDM vol. 3 §11.6.2.2 figure 11-14)
namespace dfr {
inline constexpr std::uint32_t kReset = 0xFFFF'FFFF; // flat model
inline constexpr std::uint32_t kReservedOnes = 0x0FFF'FFFF;
inline constexpr std::uint32_t kModelShift = 28;
inline constexpr std::uint32_t kFlat = 0xF, kCluster = 0x0;
} // namespace dfr

/// The logical ID that hardware gives in x2APIC mode. (SDM vol. 3 §11.12.10.2)
[[nodiscard]] constexpr std::uint32_t x2apic_logical_id(std::uint32_t apic_id) {
    return ((apic_id & 0xF'FFF0) << 12) | (1u << (apic_id & 0xF));
}
static_assert(x2apic_logical_id(0x21) == 0x0002'0002);

/// Timer input clocks per count, from the divide configuration register. (SDM vol. 3 §11.5.4 figure 11-10)
[[nodiscard]] constexpr std::uint32_t timer_divisor(std::uint32_t divide_configuration) {
    const std::uint32_t code = (divide_configuration & 3) | ((divide_configuration >> 1) & 4);
    return code == 7 ? 1 : 2u << code;
}
inline constexpr std::uint32_t kDivideWritable = 0b1011;
static_assert(timer_divisor(0b1011) == 1 && timer_divisor(0b0000) == 2 && timer_divisor(0b1010) == 128);

} // namespace touka::spec::apic
