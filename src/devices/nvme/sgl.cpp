#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "devices/nvme/data_pointer.hpp"
#include "spec/nvme/data_pointer.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::Iova;

namespace {

std::uint8_t type_of(const SglDescriptor& descriptor) { return descriptor.identifier >> 4; }
bool is_segment(const SglDescriptor& descriptor) {
    return type_of(descriptor) == kSglSegment || type_of(descriptor) == kSglLastSegment;
}

class SglWalk {
public:
    SglWalk(const DataMapping& mapping, std::uint64_t length_bytes, SegmentList& to)
        : mapping_(mapping), left_(length_bytes), to_(to) {}

    Status map(SglDescriptor descriptor) {
        if (!is_segment(descriptor)) {
            const Status status = map_descriptor(descriptor);
            return status == Status::kSuccess ? finish() : status;
        }
        while (left_ > 0) {
            const bool last = type_of(descriptor) == kSglLastSegment;
            if ((descriptor.identifier & 0xF) != 0) return Status::kSglTypeInvalid;
            if (descriptor.length == 0 || descriptor.length % sizeof(SglDescriptor) != 0) {
                return Status::kInvalidSglSegment;
            }
            std::optional<SglDescriptor> next;
            if (const Status status = map_segment(descriptor, next); status != Status::kSuccess) return status;
            if (last && next) return Status::kInvalidSglSegment;
            if (last) break;
            if (left_ > 0 && !next) return Status::kInvalidSglSegment;
            if (next) descriptor = *next;
        }
        return finish();
    }

private:
    static constexpr std::size_t kBatch = 32;

    /// @param next the segment's last descriptor if it leads to another segment.
    Status map_segment(const SglDescriptor& segment, std::optional<SglDescriptor>& next) {
        std::uint64_t count = segment.length / sizeof(SglDescriptor);
        if (count > kSglDescriptorLimit - seen_) return Status::kInvalidSglCount;
        seen_ += static_cast<unsigned>(count);
        std::array<SglDescriptor, kBatch> descriptors;
        for (Iova at{segment.address}; count > 0;) {
            const auto batch = std::span(descriptors).first(std::min<std::uint64_t>(count, kBatch));
            if (!mapping_.dma.read(at, std::as_writable_bytes(batch))) return Status::kDataTransferError;
            for (const SglDescriptor& descriptor : batch) {
                --count;
                if (is_segment(descriptor)) {
                    if (count > 0) return Status::kInvalidSglCount;
                    next = descriptor;
                } else if (const Status status = map_descriptor(descriptor); status != Status::kSuccess) {
                    return status;
                }
            }
            at = at + batch.size_bytes();
        }
        return Status::kSuccess;
    }
    Status map_descriptor(const SglDescriptor& descriptor) {
        if (type_of(descriptor) != kSglDataBlock || (descriptor.identifier & 0xF) != 0) return Status::kSglTypeInvalid;
        const std::uint64_t length = std::min<std::uint64_t>(left_, descriptor.length);
        left_ -= length;
        return length == 0 ? Status::kSuccess : map_block(mapping_, descriptor.address, length, to_);
    }
    [[nodiscard]] Status finish() const { return left_ == 0 ? Status::kSuccess : Status::kDataSglLengthInvalid; }

    const DataMapping& mapping_;
    std::uint64_t left_;
    SegmentList& to_;
    unsigned seen_ = 0;
};

} // namespace

Status map_sgl(const DataMapping& mapping, const SubmissionEntry& command, std::uint64_t length_bytes,
               SegmentList& to) {
    struct Words {
        std::uint64_t low, high;
    };
    return SglWalk(mapping, length_bytes, to).map(std::bit_cast<SglDescriptor>(Words{command.prp1, command.prp2}));
}

} // namespace touka::devices::nvme
