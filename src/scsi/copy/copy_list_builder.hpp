// Parameter lists of EXTENDED COPY, for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "scsi/copy/copy_parameters.hpp"
#include "scsi/parameter_data.hpp"

namespace touka::scsi {

/// @param naa 0: a null device.
[[nodiscard]] inline std::vector<std::uint8_t> copy_target(std::uint64_t naa, std::uint32_t block_bytes = 512) {
    constexpr std::uint8_t kNull = 0x20;
    ParameterData data;
    data.byte(spec::scsi::kTargetIdentification).byte(naa == 0 ? kNull : 0).zeros(2).byte(1).byte(3).byte(0).byte(8);
    return data.number(naa, 8).zeros(12).byte(0).number(block_bytes, 3).take();
}

[[nodiscard]] inline std::vector<std::uint8_t> copy_segment(const CopySegment& segment) {
    ParameterData data;
    data.byte(spec::scsi::kSegmentBlockToBlock).byte(segment.count_is_destinations ? 2 : 0).number(24, 2);
    data.number(segment.source, 2).number(segment.destination, 2).zeros(2).number(segment.count, 2);
    return data.number(segment.source_lba, 8).number(segment.destination_lba, 8).take();
}

[[nodiscard]] inline std::vector<std::uint8_t>
copy_list(std::uint8_t identifier, const std::vector<std::vector<std::uint8_t>>& targets,
          const std::vector<CopySegment>& segments, spec::scsi::ListIdUsage usage = spec::scsi::ListIdUsage::kHold) {
    ParameterData data;
    data.byte(identifier).byte(static_cast<unsigned>(usage) << 3).number(targets.size() * 32, 2).zeros(4);
    data.number(segments.size() * 28, 4).zeros(4);
    for (const auto& target : targets) data.bytes(target);
    for (const CopySegment& segment : segments) data.bytes(copy_segment(segment));
    return data.take();
}

[[nodiscard]] inline std::vector<std::uint8_t> extended_copy_cdb(std::size_t length) {
    return ParameterData().byte(0x83).zeros(9).number(length, 4).zeros(2).take();
}
[[nodiscard]] inline std::vector<std::uint8_t> receive_copy_cdb(std::uint8_t action, std::uint8_t identifier,
                                                                std::uint32_t allocation_length = 1024) {
    return ParameterData()
        .byte(0x84)
        .byte(action)
        .byte(identifier)
        .zeros(7)
        .number(allocation_length, 4)
        .zeros(2)
        .take();
}

} // namespace touka::scsi
