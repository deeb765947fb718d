// ProtectedDisk: what is done at the start, and when caches are written.
#include <algorithm>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

Step<ProtectedDisk::State> ProtectedDisk::open() {
    Step<BlockStatus> opening = store_.open();
    BlockStatus status = co_await opening;
    const bool read_only = core_.read_only || store_.file().geometry().read_only;
    if (status == BlockStatus::kOk && !read_only) {
        if (store_.known_blocks() > 0) {
            Step<BlockStatus> repairing = repair();
            status = co_await repairing;
        }
        if (status == BlockStatus::kOk && store_.known_blocks() != core_.block_count) {
            Step<BlockStatus> making = store_.set_type(type());
            status = co_await making;
        }
        store_.regions().set_region_blocks(store_.region_blocks(core_.block_count));
    }
    state_ = status == BlockStatus::kOk ? State::kReady : State::kFailed;
    co_return state_;
}

/// Looks at the regions that were being written when the host stopped.
Step<BlockStatus> ProtectedDisk::repair() {
    std::vector<std::uint64_t> dirty;
    Step<BlockStatus> loading = store_.regions().load(dirty);
    BlockStatus status = co_await loading;
    if (status != BlockStatus::kOk || dirty.empty()) co_return status;
    const std::uint64_t region_blocks = store_.region_blocks(store_.known_blocks());
    for (const std::uint64_t region : dirty) {
        if (type() == ProtectionType::kNone || region >= core_.block_count / region_blocks + 1) continue;
        const std::uint64_t end = std::min((region + 1) * region_blocks, core_.block_count);
        for (std::uint64_t lba = region * region_blocks; lba < end; lba += chunk_blocks()) {
            Step<BlockStatus> repairing = repair_chunk({lba, std::min(chunk_blocks(), end - lba)});
            status = co_await repairing;
            if (status != BlockStatus::kOk) co_return status;
        }
    }
    // What was found right may be in a cache only, with the same fate as before.
    BlockTransfer flushing(core_.volume, {.operation = BlockOperation::kFlush});
    status = co_await flushing;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> flushing_information = store_.flush();
    status = co_await flushing_information;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> clearing = store_.regions().clear();
    status = co_await clearing;
    co_return status;
}

Step<BlockStatus> ProtectedDisk::repair_chunk(BlockRange range) {
    Blocks blocks;
    resize(blocks, range.count);
    const iovec buffer{.iov_base = blocks.data.data(), .iov_len = blocks.data.size()};
    BlockTransfer reading(
        core_.volume,
        {.offset_bytes = core_.bytes(range.lba), .length_bytes = buffer.iov_len, .buffers = std::span(&buffer, 1)});
    BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> reading_information = store_.read(range, blocks.information);
    status = co_await reading_information;
    if (status != BlockStatus::kOk) co_return status;

    constexpr ProtectionChecks kGuard{.guard = true, .application_tag = false, .reference_tag = false};
    bool wrong = false;
    for (std::uint64_t from = 0; from < range.count;) {
        const auto information = std::span(blocks.information).subspan(from * kProtectionBytes);
        const auto failure = check_protection(std::span(blocks.data).subspan(core_.bytes(from)), information,
                                              core_.block_bytes, {.type = type()}, kGuard, ProtectionSource::kMedium);
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

Step<BlockStatus> ProtectedDisk::flush() {
    const DirtyRegions::Snapshot snapshot = store_.regions().before_flush();
    BlockTransfer flushing(core_.volume, {.operation = BlockOperation::kFlush});
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
