#include "scsi/disk/cache.hpp"

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {
constexpr std::uint8_t kImmediate = 0x02, kNonVolatile = 0x04; // SYNC_NV is gone since SBC-3 and still sent
}

CacheCommands::CacheCommands(DiskCore& core) : core_(core) {
    using namespace operation;
    const auto add = [&](std::uint8_t code, ReservationClass (*rule)(const Cdb&),
                         void (CacheCommands::*execute)(Task&)) {
        core_.server.add({.usage = range_usage(code, kImmediate | kNonVolatile),
                          .reservation = rule,
                          .execute = [this, execute](Task& task) { (this->*execute)(task); }});
    };
    for (const std::uint8_t code : {kSynchronizeCache10, kSynchronizeCache16}) {
        add(code, changes_unit, &CacheCommands::synchronize);
    }
    for (const std::uint8_t code : {kPreFetch10, kPreFetch16}) add(code, reads_only, &CacheCommands::prefetch);
}

void CacheCommands::synchronize(Task& task) {
    BlockRange range = block_range(task.cdb);
    if (const auto sense = core_.check_range(range)) return core_.server.check(task, *sense);
    if ((block_flags(task.cdb) & kImmediate) != 0) {
        core_.server.good(task);
        flush(nullptr);
    } else {
        flush(&task);
    }
}

/// The whole volume: the host has no flush of a range.
Job CacheCommands::flush(Task* task) {
    const BackgroundJobs::Running running(core_.background);
    BlockStatus status = BlockStatus::kOk;
    if (core_.protection != nullptr) {
        Step<BlockStatus> flushing = core_.protection->flush();
        status = co_await flushing;
    } else {
        BlockTransfer transfer(core_.volume, {.operation = BlockOperation::kFlush});
        status = co_await transfer;
    }
    if (task == nullptr) co_return;
    if (status != BlockStatus::kOk) {
        core_.server.check(*task, medium_sense(status, BlockOperation::kFlush));
    } else {
        core_.server.good(*task);
    }
}

/// The host is told what will be read soon. It does not promise that its cache has room for all of it, which CONDITION
/// MET would say; so GOOD. (SBC-4 §5.10)
void CacheCommands::prefetch(Task& task) {
    BlockRange range = block_range(task.cdb);
    if (const auto sense = core_.check_range(range)) return core_.server.check(task, *sense);
    if (range.count == 0) range.count = core_.block_count - range.lba;
    core_.volume.prefetch(core_.bytes(range.lba), core_.bytes(range.count));
    core_.server.good(task);
}

} // namespace touka::scsi
