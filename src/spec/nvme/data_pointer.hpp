// SGL descriptors. (NVM Express Base 2.0 §4.1.2)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::nvme {

/// §4.1.2 figures 107 ff: data block, bit bucket, segment and last segment have one layout.
struct SglDescriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint8_t reserved[3];
    std::uint8_t identifier; ///< type in bits 7:4, sub type in bits 3:0
};
static_assert(sizeof(SglDescriptor) == 16 && offsetof(SglDescriptor, identifier) == 15);

/// Figure 106: SGL descriptor types; sub type 0 is an address.
inline constexpr std::uint8_t kSglDataBlock = 0x0, kSglBitBucket = 0x1, kSglSegment = 0x2, kSglLastSegment = 0x3;

/// §4.1.1: entries of PRP lists are 8 bytes; a list ends at its page's end, where it may go on in another.
inline constexpr std::uint32_t kPrpBytes = 8;

} // namespace touka::spec::nvme
