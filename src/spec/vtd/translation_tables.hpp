// Legacy mode's tables in memory: root, context, second-level paging entries. (Intel VT-d Architecture Specification,
// Rev. 4.1, §3.4, §3.7, §9.1, §9.3, §9.8)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::vtd {

/// The 4 KiB root table has an entry of 16 bytes for each bus; a context table one for each device and function.
inline constexpr std::uint64_t kTableEntryBytes = 16;

/// Root entry: low half; the high half is reserved. (§9.1)
using RootEntry = Register<std::uint64_t, struct RootEntryTag>;
namespace root_entry {
inline constexpr Field<RootEntryTag, 0, 1, bool> P;
inline constexpr std::uint64_t kContextTable = ~std::uint64_t{0xFFF};
inline constexpr std::uint64_t kReserved = 0xFFE;
} // namespace root_entry

enum class TranslationType : std::uint8_t {
    kUntranslatedOnly = 0, ///< device-TLBs' requests are blocked
    kAll = 1,
    kPassThrough = 2,
    kReserved = 3,
};

/// Context entry, low half. (§9.3)
using ContextLow = Register<std::uint64_t, struct ContextLowTag>;
namespace context_low {
inline constexpr Field<ContextLowTag, 0, 1, bool> P;
inline constexpr Field<ContextLowTag, 1, 1, bool> FPD; // its faults are not recorded
inline constexpr Field<ContextLowTag, 2, 2, TranslationType> TT;
inline constexpr std::uint64_t kTable = ~std::uint64_t{0xFFF}; // second-level page table
inline constexpr std::uint64_t kReserved = 0xFF0;
} // namespace context_low

/// Context entry, high half. (§9.3)
using ContextHigh = Register<std::uint64_t, struct ContextHighTag>;
namespace context_high {
inline constexpr Field<ContextHighTag, 0, 3, std::uint8_t> AW; // levels less two: 1 for 39 bits, 2 for 48 bits
inline constexpr Field<ContextHighTag, 8, 16, std::uint16_t> DID;
inline constexpr std::uint64_t kReserved = 0xFFFF'FFFF'FF00'0080;
} // namespace context_high

/// Second-level paging entry of any level. (§9.8)
using PagingEntry = Register<std::uint64_t, struct PagingEntryTag>;
namespace paging_entry {
inline constexpr Field<PagingEntryTag, 0, 1, bool> R;
inline constexpr Field<PagingEntryTag, 1, 1, bool> W;
inline constexpr Field<PagingEntryTag, 7, 1, bool> PS;           // a page, at levels 2 and 3
inline constexpr Field<PagingEntryTag, 11, 1, bool> SNP;         // leaves alone
inline constexpr Field<PagingEntryTag, 62, 1, bool> TM;          // leaves alone
inline constexpr std::uint64_t kAddress = 0x000F'FFFF'FFFF'F000; // bits 51:12, above HAW reserved
} // namespace paging_entry
inline constexpr unsigned kIndexBits = 9; // of each level
inline constexpr unsigned kPageShift = 12;

/// The bits of an address that the level's entry translates are those above; a page of level n has 2^shift bytes.
constexpr unsigned level_shift(unsigned level) { return kPageShift + kIndexBits * (level - 1); }
static_assert(level_shift(1) == 12 && level_shift(2) == 21 && level_shift(3) == 30 && level_shift(4) == 39);

} // namespace touka::spec::vtd
