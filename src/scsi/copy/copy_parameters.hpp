#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "scsi/sense.hpp"
#include "spec/scsi/third_party_copy.hpp"

namespace touka::scsi {

/// What this copy manager can do at most; told by RECEIVE COPY OPERATING PARAMETERS and VPD page 8Fh.
namespace copy_limit {
inline constexpr std::uint16_t kTargets = 16, kSegments = 256;
inline constexpr std::uint32_t kDescriptorListBytes =
    kTargets * spec::scsi::kCopyTargetBytes + kSegments * spec::scsi::kCopyBlockSegmentBytes;
inline constexpr std::uint32_t kSegmentBytes = 256u << 20; ///< more than 65535 blocks are
inline constexpr std::uint8_t kConcurrentCopies = 8;       ///< of one unit
inline constexpr std::uint8_t kGranularityLog2 = 9;
} // namespace copy_limit

/// An identification descriptor CSCD: a unit that is read or written. (SPC-4 §6.5.5.3)
struct CopyTarget {
    std::optional<std::uint64_t> naa; ///< of the logical unit; nothing: NUL, or named in another way
    bool direct_access = true;        ///< PERIPHERAL DEVICE TYPE
    std::uint32_t block_bytes = 0;    ///< DISK BLOCK LENGTH; 0: not told
};

/// A block device to block device segment. (SPC-4 §6.5.6.4)
struct CopySegment {
    bool count_is_destinations = false; ///< DC: `count` is in the destination's blocks
    std::uint16_t source = 0, destination = 0;
    std::uint16_t count = 0; ///< blocks
    std::uint64_t source_lba = 0, destination_lba = 0;
};

struct CopyList {
    std::uint8_t identifier = 0;
    spec::scsi::ListIdUsage usage = spec::scsi::ListIdUsage::kHold;
    std::vector<CopyTarget> targets;
    std::vector<CopySegment> segments;
};

/// Reads the parameter list of EXTENDED COPY(LID1). Which units there are is not looked at.
/// @return the sense, ILLEGAL REQUEST, of a list that cannot be started. (SPC-4 §5.16.7.3)
[[nodiscard]] std::expected<CopyList, Sense> parse_copy_list(std::span<const std::uint8_t> bytes);

} // namespace touka::scsi
