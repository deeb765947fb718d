// ProtectedMedium: blocks and information together; what is done at the start, and when caches are written.
#include "scsi/disk/protected_medium.hpp"

#include <algorithm>

#include "scsi/disk/job.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

void ProtectedMedium::resize(Blocks& blocks, std::uint64_t count) const {
    blocks.data.resize(bytes(count));
    blocks.information.resize(count * kProtectionBytes);
}

Step<BlockStatus> ProtectedMedium::open(bool read_only) {
    Step<BlockStatus> opening = store_.open();
    BlockStatus status = co_await opening;
    if (status != BlockStatus::kOk || read_only || store_.file().geometry().read_only) co_return status;
    if (store_.known_blocks() > 0) {
        Step<BlockStatus> repairing = repair();
        status = co_await repairing;
    }
    if (status == BlockStatus::kOk && store_.known_blocks() != block_count_) {
        Step<BlockStatus> making = store_.set_type(type(), store_.layout());
        status = co_await making;
    }
    store_.regions().set_region_blocks(store_.region_blocks(block_count_));
    co_return status;
}

Step<BlockStatus> ProtectedMedium::read(BlockRange range, Blocks& blocks) {
    resize(blocks, range.count);
    const iovec buffer{.iov_base = blocks.data.data(), .iov_len = blocks.data.size()};
    BlockTransfer reading(
        volume_, {.offset_bytes = bytes(range.lba), .length_bytes = buffer.iov_len, .buffers = std::span(&buffer, 1)});
    BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> reading_information = store_.read(range, blocks.information);
    status = co_await reading_information;
    co_return status;
}

Step<BlockStatus> ProtectedMedium::write(BlockRange range, const Blocks& blocks, bool stable) {
    const iovec buffer{.iov_base = const_cast<std::uint8_t*>(blocks.data.data()), .iov_len = blocks.data.size()};
    Step<BlockStatus> beginning = store_.regions().begin(range);
    BlockStatus status = co_await beginning;
    if (status == BlockStatus::kOk) {
        BlockTransfer writing(volume_, {.operation = BlockOperation::kWrite,
                                        .offset_bytes = bytes(range.lba),
                                        .length_bytes = buffer.iov_len,
                                        .buffers = std::span(&buffer, 1),
                                        .force_unit_access = stable});
        status = co_await writing;
    }
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> writing_information = store_.write(range, blocks.information, stable);
        status = co_await writing_information;
    }
    store_.regions().end(range, status != BlockStatus::kOk);
    co_return status;
}

Step<BlockStatus> ProtectedMedium::write_unwritten(BlockRange range, bool stable, bool may_unmap) {
    Step<BlockStatus> beginning = store_.regions().begin(range);
    BlockStatus status = co_await beginning;
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> resetting = store_.reset(range, stable);
        status = co_await resetting;
    }
    if (status == BlockStatus::kOk) {
        BlockTransfer zeroing(volume_, {.operation = BlockOperation::kWriteZeroes,
                                        .offset_bytes = bytes(range.lba),
                                        .length_bytes = bytes(range.count),
                                        .force_unit_access = stable,
                                        .may_unmap = may_unmap});
        status = co_await zeroing;
    }
    store_.regions().end(range, status != BlockStatus::kOk);
    co_return status;
}

/// Looks at the regions that were being written when the host stopped.
Step<BlockStatus> ProtectedMedium::repair() {
    std::vector<std::uint64_t> dirty;
    Step<BlockStatus> loading = store_.regions().load(dirty);
    BlockStatus status = co_await loading;
    if (status != BlockStatus::kOk || dirty.empty()) co_return status;
    const std::uint64_t region_blocks = store_.region_blocks(store_.known_blocks());
    for (const std::uint64_t region : dirty) {
        if (type() == ProtectionType::kNone || region >= block_count_ / region_blocks + 1) continue;
        const std::uint64_t end = std::min((region + 1) * region_blocks, block_count_);
        for (std::uint64_t lba = region * region_blocks; lba < end; lba += chunk_blocks()) {
            Step<BlockStatus> repairing = repair_chunk({lba, std::min(chunk_blocks(), end - lba)});
            status = co_await repairing;
            if (status != BlockStatus::kOk) co_return status;
        }
    }
    // What was found right may be in a cache only, with the same fate as before.
    BlockTransfer flushing(volume_, {.operation = BlockOperation::kFlush});
    status = co_await flushing;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> flushing_information = store_.flush();
    status = co_await flushing_information;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> clearing = store_.regions().clear();
    status = co_await clearing;
    co_return status;
}

Step<BlockStatus> ProtectedMedium::repair_chunk(BlockRange range) {
    Blocks blocks;
    Step<BlockStatus> reading = read(range, blocks);
    BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    constexpr ProtectionChecks kGuard{.guard = true, .application_tag = false, .reference_tag = false};
    bool wrong = false;
    for (std::uint64_t from = 0; from < range.count;) {
        const auto information = std::span(blocks.information).subspan(from * kProtectionBytes);
        const auto failure = check_protection(std::span(blocks.data).subspan(bytes(from)), information, block_bytes_,
                                              {.type = type()}, kGuard, ProtectionSource::kMedium);
        if (!failure) break;
        ProtectionInformation{}.store(information.subspan(failure->block * kProtectionBytes));
        from += failure->block + 1;
        wrong = true;
    }
    if (!wrong) co_return status;
    Step<BlockStatus> writing = store_.write(range, blocks.information, false);
    status = co_await writing;
    co_return status;
}

Step<BlockStatus> ProtectedMedium::flush() {
    const DirtyRegions::Snapshot snapshot = store_.regions().before_flush();
    BlockTransfer flushing(volume_, {.operation = BlockOperation::kFlush});
    BlockStatus status = co_await flushing;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> flushing_information = store_.flush();
    status = co_await flushing_information;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> unmarking = store_.regions().after_flush(snapshot);
    (void)co_await unmarking;
    co_return status;
}

} // namespace touka::scsi
