// What a remapping unit can do. (Intel VT-d Architecture Specification, Rev. 4.1, chapter 11: Capability Register,
// Extended Capability Register)
#pragma once

#include <cstdint>

#include "spec/register.hpp"

namespace touka::spec::vtd {

using Capabilities = Register<std::uint64_t, struct VtdCapabilitiesTag>;
namespace cap {
using Tag = VtdCapabilitiesTag;
inline constexpr Field<Tag, 0, 3, std::uint8_t> ND;     // 2^(4 + 2 * ND) domains
inline constexpr Field<Tag, 3, 1, bool> AFL;            // advanced fault log
inline constexpr Field<Tag, 4, 1, bool> RWBF;           // write buffers need flushing
inline constexpr Field<Tag, 5, 1, bool> PLMR;           // protected low memory
inline constexpr Field<Tag, 6, 1, bool> PHMR;           // protected high memory
inline constexpr Field<Tag, 7, 1, bool> CM;             // caching mode: what is not present may be cached
inline constexpr Field<Tag, 8, 5, std::uint8_t> SAGAW;  // bit 1: 39-bit tables, bit 2: 48-bit tables
inline constexpr Field<Tag, 16, 6, std::uint8_t> MGAW;  // widest address, in bits, less one
inline constexpr Field<Tag, 22, 1, bool> ZLR;           // zero-length reads of write-only pages
inline constexpr Field<Tag, 24, 10, std::uint16_t> FRO; // of the fault records, in 16 bytes
inline constexpr Field<Tag, 34, 4, std::uint8_t> SSLPS; // bit 0: 2 MiB pages, bit 1: 1 GiB pages
inline constexpr Field<Tag, 39, 1, bool> PSI;           // page-selective invalidation
inline constexpr Field<Tag, 40, 8, std::uint8_t> NFR;   // fault records, less one
inline constexpr Field<Tag, 48, 6, std::uint8_t> MAMV;  // greatest address mask
inline constexpr Field<Tag, 54, 1, bool> DWD;           // drains writes
inline constexpr Field<Tag, 55, 1, bool> DRD;           // drains reads
inline constexpr Field<Tag, 59, 1, bool> PI;            // posted interrupts
} // namespace cap

using ExtendedCapabilities = Register<std::uint64_t, struct VtdExtendedCapabilitiesTag>;
namespace ecap {
using Tag = VtdExtendedCapabilitiesTag;
inline constexpr Field<Tag, 0, 1, bool> C;             // tables are read coherently with processors' caches
inline constexpr Field<Tag, 1, 1, bool> QI;            // queued invalidation
inline constexpr Field<Tag, 2, 1, bool> DT;            // device-TLBs
inline constexpr Field<Tag, 3, 1, bool> IR;            // interrupt remapping
inline constexpr Field<Tag, 4, 1, bool> EIM;           // x2APIC destinations
inline constexpr Field<Tag, 6, 1, bool> PT;            // pass-through
inline constexpr Field<Tag, 7, 1, bool> SC;            // snoop control
inline constexpr Field<Tag, 8, 10, std::uint16_t> IRO; // of the IOTLB registers, in 16 bytes
inline constexpr Field<Tag, 20, 4, std::uint8_t> MHMV; // greatest mask of an interrupt entry invalidation
inline constexpr Field<Tag, 29, 1, bool> PRS;          // page requests
inline constexpr Field<Tag, 43, 1, bool> SMTS;         // scalable mode
} // namespace ecap
static_assert(ExtendedCapabilities{0xF0'0F4A}.get(ecap::IRO) == 0xF);

} // namespace touka::spec::vtd
