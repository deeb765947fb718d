#include "scsi/copy/copy_transfer.hpp"

#include <algorithm>
#include <vector>

#include "scsi/disk/job.hpp"
#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr std::uint64_t kPieceBytes = ProtectedDisk::kChunkBytes; // whole blocks of every size

using Failure = std::optional<CopyFailure>;

Failure stopped() { return CopyFailure{.code = SenseCode::kCopyTargetDeviceNotReachable}; }
Failure answer_of(ForwardedSenseSource from, const Sense& sense) { return CopyFailure{.from = from, .sense = sense}; }

BlockRange range_of(const DiskCore& core, std::uint64_t offset_bytes, std::uint64_t length_bytes) {
    return {offset_bytes / core.block_bytes, length_bytes / core.block_bytes};
}

Step<Failure> read_piece(DiskCore& core, BlockRange range, std::vector<std::uint8_t>& data) {
    constexpr auto kSide = ForwardedSenseSource::kCopySource;
    RangeHold hold(core.ranges, range, false);
    co_await hold;
    if (core.background.stopping()) co_return stopped();
    if (const auto sense = core.failure()) co_return answer_of(kSide, *sense);
    if (core.protection != nullptr) {
        Step<ProtectedDisk::Verdict> reading = core.protection->read_blocks(range, data);
        const auto sense = co_await reading;
        co_return sense ? answer_of(kSide, *sense) : std::nullopt;
    }
    data.resize(core.bytes(range.count));
    const iovec buffer{.iov_base = data.data(), .iov_len = data.size()};
    BlockTransfer reading(
        core.volume,
        {.offset_bytes = core.bytes(range.lba), .length_bytes = data.size(), .buffers = std::span(&buffer, 1)});
    const BlockStatus status = co_await reading;
    if (status == BlockStatus::kOk) co_return std::nullopt;
    co_return answer_of(kSide, medium_sense(status, BlockOperation::kRead));
}

Step<Failure> write_piece(DiskCore& core, BlockRange range, std::vector<std::uint8_t>& data) {
    constexpr auto kSide = ForwardedSenseSource::kCopyDestination;
    const bool is_protected = core.protection != nullptr;
    RangeHold hold(core.ranges, is_protected ? core.protection->store().whole_groups(range) : range, is_protected);
    co_await hold;
    if (core.background.stopping()) co_return stopped();
    if (const auto sense = core.failure()) co_return answer_of(kSide, *sense);
    const bool stable = core.force_unit_access(false);
    if (is_protected) {
        Step<ProtectedDisk::Verdict> writing = core.protection->write_blocks(range, data, stable);
        const auto sense = co_await writing;
        co_return sense ? answer_of(kSide, *sense) : std::nullopt;
    }
    const iovec buffer{.iov_base = data.data(), .iov_len = data.size()};
    BlockTransfer writing(core.volume, {.operation = BlockOperation::kWrite,
                                        .offset_bytes = core.bytes(range.lba),
                                        .length_bytes = data.size(),
                                        .buffers = std::span(&buffer, 1),
                                        .force_unit_access = stable});
    const BlockStatus status = co_await writing;
    if (status == BlockStatus::kOk) co_return std::nullopt;
    co_return answer_of(kSide, medium_sense(status, BlockOperation::kWrite));
}

} // namespace

Step<Failure> carry_out(const CopyTransfer& transfer, const Task& task, CopyRecord& record) {
    DiskCore &source = *transfer.source, &destination = *transfer.destination;
    const BackgroundJobs::Running in_source(source.background), in_destination(destination.background);
    const DeviceServer::ForeignWrite writes(destination.server, task);
    std::vector<std::uint8_t> data;
    for (std::uint64_t done = 0; done < transfer.length_bytes;) {
        const std::uint64_t length = std::min(kPieceBytes, transfer.length_bytes - done);
        const std::uint64_t at = transfer.backwards() ? transfer.length_bytes - done - length : done;
        Step<Failure> reading = read_piece(source, range_of(source, transfer.source_bytes + at, length), data);
        Failure failure = co_await reading;
        if (failure || task.link.abort_requested) co_return failure;
        Step<Failure> writing =
            write_piece(destination, range_of(destination, transfer.destination_bytes + at, length), data);
        failure = co_await writing;
        if (failure) co_return failure;
        record.copied_bytes += length;
        done += length;
        if (task.link.abort_requested) co_return std::nullopt;
    }
    co_return std::nullopt;
}

} // namespace touka::scsi
