// Faults of DMA and interrupt remapping. (Intel VT-d Architecture Specification, Rev. 4.1, §7.1.3; chapter 11: Fault
// Recording Registers)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::vtd {

enum class FaultReason : std::uint8_t {
    kRootNotPresent = 0x01,
    kContextNotPresent = 0x02,
    kContextInvalid = 0x03,     ///< a translation type or width that the unit does not have
    kBeyondAddressWidth = 0x04, ///< of the unit or of the context entry
    kWriteNotPermitted = 0x05,
    kReadNotPermitted = 0x06,
    kPagingEntryAccess = 0x07, ///< a paging entry could not be read
    kRootTableAccess = 0x08,
    kContextTableAccess = 0x09,
    kRootReserved = 0x0A,
    kContextReserved = 0x0B,
    kPagingReserved = 0x0C,
    kTranslatedBlocked = 0x0D, ///< a device-TLB's request where the context entry's TT does not let it
    kInterruptReserved = 0x20, ///< in the message
    kInterruptIndex = 0x21,    ///< beyond the table
    kInterruptNotPresent = 0x22,
    kInterruptTableAccess = 0x23,
    kInterruptEntryReserved = 0x24,
    kCompatibilityBlocked = 0x25,
    kInterruptSource = 0x26,      ///< the requester is not the one of the entry
    kTranslationTableMode = 0x31, ///< RTADDR.TTM
};

/// AT of a request. (PCIe Base 5.0 §10.2.1)
enum class AddressType : std::uint8_t { kUntranslated = 0, kTranslationRequest = 1, kTranslated = 2 };

/// Fault recording register, bits 127:64. Bits 63:12 are the page, of an interrupt bits 63:48 its index.
using FaultRecordHigh = Register<std::uint64_t, struct FaultRecordHighTag>;
namespace fault_record {
inline constexpr Field<FaultRecordHighTag, 0, 16, std::uint16_t> SID;
inline constexpr Field<FaultRecordHighTag, 32, 8, FaultReason> FR;
inline constexpr Field<FaultRecordHighTag, 60, 2, AddressType> AT;
inline constexpr Field<FaultRecordHighTag, 62, 1, bool> T1; // 1: read
inline constexpr Field<FaultRecordHighTag, 63, 1, bool> F;  // written as 1: free again
inline constexpr unsigned kInterruptIndexShift = 48;
} // namespace fault_record

} // namespace touka::spec::vtd
