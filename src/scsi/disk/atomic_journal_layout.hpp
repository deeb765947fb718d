#pragma once

#include <cstddef>
#include <cstdint>

#include "scsi/disk/atomic_journal.hpp"

/// Where things are in a slot of an atomic journal: part of its file format.
namespace touka::scsi::atomic_journal_layout {

inline constexpr std::uint64_t kMagic = 0x544F'554B'4141'544D, kVersion = 1; // "TOUKAATM"
inline constexpr std::size_t kVersionAt = 8, kCountAt = 16, kIdentityAt = 24, kSizeAt = 32, kDataCheckAt = 40,
                             kPlacesAt = 48, kPlaceBytes = 24, kCheckAt = kPlacesAt + 2 * kPlaceBytes;

/// What a piece takes in the slot.
[[nodiscard]] constexpr std::uint64_t padded(std::uint64_t bytes) {
    constexpr std::uint64_t kMask = AtomicJournal::kAlignmentBytes - 1;
    return (bytes + kMask) & ~kMask;
}

} // namespace touka::scsi::atomic_journal_layout
