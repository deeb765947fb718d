#include "scsi/copy/copy_parameters.hpp"

#include "spec/scsi/byte_order.hpp"
#include "spec/scsi/inquiry.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

Sense length_error() { return Sense::illegal_request(SenseCode::kParameterListLengthError); }

Sense wrong_at(std::size_t byte, std::optional<std::uint8_t> bit = {}) {
    return Sense::invalid_field_in_parameters(static_cast<std::uint16_t>(byte), bit);
}

/// @param at where the descriptor begins in the list.
std::expected<CopyTarget, Sense> parse_target(std::span<const std::uint8_t, kCopyTargetBytes> bytes, std::size_t at) {
    constexpr std::uint8_t kNull = 0x20, // LU ID TYPE beside it is not looked at: initiators leave anything there
        kDeviceType = 0x1F;
    constexpr std::size_t kNaaBytes = 8, kDesignatorLimit = 20;
    if (bytes[0] != kTargetIdentification) {
        return std::unexpected(Sense::illegal_request(SenseCode::kUnsupportedTargetDescriptorTypeCode));
    }
    if (bytes[7] > kDesignatorLimit) return std::unexpected(wrong_at(at + 7));
    CopyTarget target;
    target.direct_access =
        (bytes[1] & kDeviceType) == static_cast<std::uint8_t>(PeripheralDeviceType::kDirectAccessBlock);
    target.block_bytes = static_cast<std::uint32_t>(load_number(bytes.subspan(29, 3)));
    const bool binary = (bytes[4] & 0x0F) == static_cast<std::uint8_t>(CodeSet::kBinary);
    const bool of_unit = (bytes[5] & 0x30) == 0;
    const bool naa = (bytes[5] & 0x0F) == static_cast<std::uint8_t>(DesignatorType::kNaa) && bytes[7] == kNaaBytes;
    if (binary && of_unit && naa && (bytes[1] & kNull) == 0) target.naa = load_number(bytes.subspan(8, kNaaBytes));
    return target;
}

/// @param rest what is left of the segment descriptors.
std::expected<CopySegment, Sense> parse_segment(std::span<const std::uint8_t> rest, std::size_t at) {
    constexpr std::uint8_t kDestinationCount = 0x02;
    constexpr std::size_t kAfterHeader = kCopyBlockSegmentBytes - 4;
    if (rest[0] != kSegmentBlockToBlock) {
        return std::unexpected(Sense::illegal_request(SenseCode::kUnsupportedSegmentDescriptorTypeCode));
    }
    if (rest.size() < kCopyBlockSegmentBytes) return std::unexpected(length_error());
    if (load_number(rest.subspan(2, 2)) != kAfterHeader) return std::unexpected(wrong_at(at + 2));
    const auto number = [&](std::size_t first) {
        return static_cast<std::uint16_t>(load_number(rest.subspan(first, 2)));
    };
    CopySegment segment;
    segment.count_is_destinations = (rest[1] & kDestinationCount) != 0;
    segment.source = number(4);
    segment.destination = number(6);
    segment.count = number(10);
    segment.source_lba = load_number(rest.subspan(12, 8));
    segment.destination_lba = load_number(rest.subspan(20, 8));
    return segment;
}

} // namespace

std::expected<CopyList, Sense> parse_copy_list(std::span<const std::uint8_t> bytes) {
    if (bytes.size() < kCopyListHeaderBytes) return std::unexpected(length_error());
    const std::uint64_t targets_bytes = load_number(bytes.subspan(2, 2)),
                        segments_bytes = load_number(bytes.subspan(8, 4));
    if (load_number(bytes.subspan(12, 4)) != 0) {
        return std::unexpected(Sense::illegal_request(SenseCode::kInlineDataLengthExceeded));
    }
    const std::uint64_t descriptors_bytes = targets_bytes + segments_bytes;
    if (descriptors_bytes > copy_limit::kDescriptorListBytes ||
        descriptors_bytes > bytes.size() - kCopyListHeaderBytes) {
        return std::unexpected(length_error());
    }
    if (targets_bytes % kCopyTargetBytes != 0) return std::unexpected(wrong_at(2));
    if (targets_bytes / kCopyTargetBytes > copy_limit::kTargets) {
        return std::unexpected(Sense::illegal_request(SenseCode::kTooManyTargetDescriptors));
    }
    CopyList list;
    list.identifier = bytes[0];
    list.usage = static_cast<ListIdUsage>(bytes[1] >> 3 & 0x03);
    if (list.usage == ListIdUsage::kReserved) return std::unexpected(wrong_at(1, std::uint8_t{4}));
    if (list.usage == ListIdUsage::kNone && list.identifier != 0) return std::unexpected(wrong_at(0));

    std::size_t at = kCopyListHeaderBytes;
    for (; at < kCopyListHeaderBytes + targets_bytes; at += kCopyTargetBytes) {
        const auto target = parse_target(bytes.subspan(at).first<kCopyTargetBytes>(), at);
        if (!target) return std::unexpected(target.error());
        list.targets.push_back(*target);
    }
    const std::size_t end = at + segments_bytes;
    for (; at < end; at += kCopyBlockSegmentBytes) {
        if (list.segments.size() == copy_limit::kSegments) {
            return std::unexpected(Sense::illegal_request(SenseCode::kTooManySegmentDescriptors));
        }
        const auto segment = parse_segment(bytes.subspan(at, end - at), at);
        if (!segment) return std::unexpected(segment.error());
        list.segments.push_back(*segment);
    }
    return list;
}

} // namespace touka::scsi
