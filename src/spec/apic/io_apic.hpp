// Registers of the I/O APIC. (Intel 82093AA datasheet, order number 290566-001, §3.1, §3.2)
#pragma once

#include <cstdint>

#include "spec/apic/interrupt_message.hpp"
#include "spec/register.hpp"

namespace touka::spec::apic {

inline constexpr std::uint64_t kIoApicBase = 0xFEC0'0000;
inline constexpr std::uint64_t kIoApicLength = 0x1000;
inline constexpr unsigned kIoApicPinCount = 24;

/// Offsets into the memory window. (§3.1)
enum class IoApicWindow : std::uint32_t { IOREGSEL = 0x00, IOWIN = 0x10 };

/// What IOREGSEL selects. (§3.2)
enum class IoApicRegister : std::uint32_t {
    IOAPICID = 0x00,
    IOAPICVER = 0x01,
    IOAPICARB = 0x02,
    IOREDTBL = 0x10, // two registers for each pin, low half first
};
inline constexpr std::uint32_t kIoApicVersion = 0x0017'0011; // 24 entries, version 11h
static_assert((kIoApicVersion >> 16) + 1 == kIoApicPinCount);
inline constexpr unsigned kIoApicIdShift = 24;

/// A redirection table entry. (§3.2.4)
using RedirectionEntry = Register<std::uint64_t, struct RedirectionEntryTag>;
namespace redirection {
inline constexpr Field<RedirectionEntryTag, 0, 8, std::uint8_t> INTVEC;
inline constexpr Field<RedirectionEntryTag, 8, 3, DeliveryMode> DELMOD;
inline constexpr Field<RedirectionEntryTag, 11, 1, bool> DESTMOD; // 1: logical
inline constexpr Field<RedirectionEntryTag, 12, 1, bool> DELIVS;  // read only
inline constexpr Field<RedirectionEntryTag, 13, 1, bool> INTPOL;  // 1: low active
inline constexpr Field<RedirectionEntryTag, 14, 1, bool> REMOTE_IRR;
inline constexpr Field<RedirectionEntryTag, 15, 1, bool> TRIGGER_MODE; // 1: level
inline constexpr Field<RedirectionEntryTag, 16, 1, bool> MASK;
inline constexpr Field<RedirectionEntryTag, 56, 8> DEST;
// Bits 14:8 of the destination, in the place where the MSI address has them too (interrupt_message.hpp).
inline constexpr Field<RedirectionEntryTag, 49, 7> EXTENDED_DEST;
// With a remapping unit bit 48 says that bits 63:49 and 11 are an index. (Intel VT-d Rev. 4.1 §5.1.5.1)
inline constexpr Field<RedirectionEntryTag, 48, 1, bool> FORMAT;
inline constexpr std::uint64_t kReset = 0x1'0000;
inline constexpr std::uint64_t kWritable = 0xFFFF'0000'0001'AFFF;
} // namespace redirection
static_assert(RedirectionEntry{redirection::kReset}.get(redirection::MASK));
static_assert((redirection::kWritable & 0x5000) == 0); // DELIVS and REMOTE_IRR

} // namespace touka::spec::apic
