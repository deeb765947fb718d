// Messages in the remappable format, and the table that they name entries of. (Intel VT-d Architecture Specification,
// Rev. 4.1, §5.1.2, §5.1.5, §9.10)
#pragma once

#include <cstdint>

#include "spec/apic/interrupt_message.hpp"
#include "spec/register.hpp"

namespace touka::spec::vtd {

/// A message's address in the remappable format. (§5.1.2.2)
using RemappableAddress = Register<std::uint64_t, struct RemappableAddressTag>;
namespace remappable_address {
inline constexpr Field<RemappableAddressTag, 2, 1, std::uint16_t> HANDLE_15;
inline constexpr Field<RemappableAddressTag, 3, 1, bool> SHV;    // the data holds a subhandle
inline constexpr Field<RemappableAddressTag, 4, 1, bool> FORMAT; // 1: this format
inline constexpr Field<RemappableAddressTag, 5, 15, std::uint16_t> HANDLE_14_0;
} // namespace remappable_address
/// Bits of the data that are reserved when there is a subhandle.
inline constexpr std::uint32_t kSubhandleReserved = 0xFFFF'0000;

inline constexpr std::uint64_t kInterruptEntryBytes = 16;

/// Entry of the interrupt remapping table, low half. (§9.10)
using InterruptEntryLow = Register<std::uint64_t, struct InterruptEntryLowTag>;
namespace interrupt_entry {
inline constexpr Field<InterruptEntryLowTag, 0, 1, bool> P;
inline constexpr Field<InterruptEntryLowTag, 1, 1, bool> FPD;
inline constexpr Field<InterruptEntryLowTag, 2, 1, bool> DM; // logical destination
inline constexpr Field<InterruptEntryLowTag, 3, 1, bool> RH; // one of the destination's processors
inline constexpr Field<InterruptEntryLowTag, 4, 1, bool> TM; // level
inline constexpr Field<InterruptEntryLowTag, 5, 3, apic::DeliveryMode> DLM;
inline constexpr Field<InterruptEntryLowTag, 15, 1, bool> IM; // posted
inline constexpr Field<InterruptEntryLowTag, 16, 8, std::uint8_t> V;
inline constexpr Field<InterruptEntryLowTag, 32, 32, std::uint32_t> DST;  // with IRTA.EIME
inline constexpr Field<InterruptEntryLowTag, 40, 8, std::uint32_t> DST_8; // without
inline constexpr std::uint64_t kReservedLow = 0xFF00'7000, kReservedDestination8 = 0xFFFF'00FF'0000'0000;

enum class SourceCheck : std::uint8_t { kNone = 0, kRequester = 1, kBusRange = 2, kReserved = 3 };
/// High half.
using High = Register<std::uint64_t, struct InterruptEntryHighTag>;
inline constexpr Field<InterruptEntryHighTag, 0, 16, std::uint16_t> SID;
inline constexpr Field<InterruptEntryHighTag, 16, 2, std::uint8_t> SQ; // which function bits are left out
inline constexpr Field<InterruptEntryHighTag, 18, 2, SourceCheck> SVT;
inline constexpr std::uint64_t kReservedHigh = 0xFFFF'FFFF'FFF0'0000;
} // namespace interrupt_entry

} // namespace touka::spec::vtd
