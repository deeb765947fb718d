#include <algorithm>
#include <array>
#include <limits>

#include "devices/nvme/data_pointer.hpp"
#include "spec/nvme/data_pointer.hpp"

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::Iova;

Status map_block(const DataMapping& mapping, std::uint64_t address, std::uint64_t length_bytes, SegmentList& to) {
    if (length_bytes > 0 && address > std::numeric_limits<std::uint64_t>::max() - (length_bytes - 1)) {
        return Status::kDataTransferError;
    }
    while (length_bytes > 0) {
        const auto piece = mapping.dma.translate(Iova{address}, length_bytes, mapping.access);
        if (!piece) return Status::kDataTransferError;
        if (!to.append(*piece)) return Status::kInvalidSglCount;
        mapping.hold.add({Iova{address}, *piece, mapping.access});
        address += piece->size();
        length_bytes -= piece->size();
    }
    return Status::kSuccess;
}

namespace {

/// Walks a PRP list: entries to the end of a page, of which the last leads to the next page if data is left. (§4.1.1)
class PrpList {
public:
    PrpList(const DataMapping& mapping, std::uint64_t address) : mapping_(mapping), address_(address) {}

    Status map(std::uint64_t left, SegmentList& to) {
        while (left > 0) {
            const std::uint64_t wanted = (left + mapping_.page_bytes - 1) / mapping_.page_bytes;
            std::uint64_t in_page = (mapping_.page_bytes - address_ % mapping_.page_bytes) / kPrpBytes;
            const bool goes_on = wanted > in_page;
            if (goes_on) --in_page;
            if (const Status status = map_entries(std::min(in_page, wanted), left, to); status != Status::kSuccess) {
                return status;
            }
            if (!goes_on) continue;
            if (const Status status = follow(); status != Status::kSuccess) return status;
        }
        return Status::kSuccess;
    }

private:
    static constexpr std::size_t kBatch = 64;

    Status map_entries(std::uint64_t count, std::uint64_t& left, SegmentList& to) {
        std::array<std::uint64_t, kBatch> entries;
        while (count > 0) {
            const auto batch = std::span(entries).first(std::min<std::uint64_t>(count, kBatch));
            if (!mapping_.dma.read(Iova{address_}, std::as_writable_bytes(batch))) return Status::kDataTransferError;
            for (const std::uint64_t entry : batch) {
                if (entry % mapping_.page_bytes != 0) return Status::kPrpOffsetInvalid;
                const std::uint64_t length = std::min<std::uint64_t>(left, mapping_.page_bytes);
                if (const Status status = map_block(mapping_, entry, length, to); status != Status::kSuccess) {
                    return status;
                }
                left -= length;
            }
            address_ += batch.size_bytes();
            count -= batch.size();
        }
        return Status::kSuccess;
    }
    Status follow() {
        std::uint64_t next = 0;
        if (!mapping_.dma.read(Iova{address_}, std::as_writable_bytes(std::span(&next, 1)))) {
            return Status::kDataTransferError;
        }
        if (next % mapping_.page_bytes != 0) return Status::kPrpOffsetInvalid;
        address_ = next;
        return Status::kSuccess;
    }

    const DataMapping& mapping_;
    std::uint64_t address_;
};

} // namespace

Status map_prps(const DataMapping& mapping, std::uint64_t prp1, std::uint64_t prp2, std::uint64_t length_bytes,
                SegmentList& to) {
    if (prp1 % 4 != 0) return Status::kPrpOffsetInvalid;
    const std::uint64_t first = std::min<std::uint64_t>(length_bytes, mapping.page_bytes - prp1 % mapping.page_bytes);
    if (const Status status = map_block(mapping, prp1, first, to); status != Status::kSuccess) return status;
    const std::uint64_t left = length_bytes - first;
    if (left == 0) return Status::kSuccess;
    if (left <= mapping.page_bytes) {
        if (prp2 % mapping.page_bytes != 0) return Status::kPrpOffsetInvalid;
        return map_block(mapping, prp2, left, to);
    }
    if (prp2 % kPrpBytes != 0) return Status::kPrpOffsetInvalid;
    return PrpList(mapping, prp2).map(left, to);
}

Status map_metadata(const DataMapping& mapping, const SubmissionEntry& command, std::uint64_t length_bytes,
                    SegmentList& to) {
    const auto psdt = command.flags >> kPsdtShift;
    if (psdt == kPsdtSglMetadataSegment || (psdt == kPsdtPrp && command.mptr % 4 != 0)) return Status::kInvalidField;
    return map_block(mapping, command.mptr, length_bytes, to);
}

Status map_data(const DataMapping& mapping, const SubmissionEntry& command, std::uint64_t length_bytes,
                bool sgl_allowed, SegmentList& to) {
    switch (command.flags >> kPsdtShift) {
        case kPsdtPrp: return map_prps(mapping, command.prp1, command.prp2, length_bytes, to);
        case kPsdtSgl:
        case kPsdtSglMetadataSegment:
            return sgl_allowed ? map_sgl(mapping, command, length_bytes, to) : Status::kInvalidField;
        default: return Status::kInvalidField;
    }
}

} // namespace touka::devices::nvme
