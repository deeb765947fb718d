#include "scsi/disk/atomic_write.hpp"

#include <vector>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {
constexpr std::uint8_t kBoundaryByte = 10, kLengthByte = 12;
}

AtomicWrite::AtomicWrite(DiskCore& core) : core_(core) {
    using operation::kWriteAtomic16;
    const std::uint8_t flags = kDpo | kFua | core.protect_field();
    core.server.add({.usage = {kWriteAtomic16, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                               0xFF, 0x1F, 0},
                     .execute = [this](Task& task) { execute(task); }});
}

void AtomicWrite::execute(Task& task) {
    const BlockRange range{task.cdb.number(2, 8), task.cdb.number(kLengthByte, 2)};
    if (const auto sense = core_.check_range(range)) return core_.server.check(task, *sense);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    if (task.cdb.number(kBoundaryByte, 2) != 0) {
        return core_.server.check(task, Sense::invalid_field_in_cdb(kBoundaryByte));
    }
    if (range.count > limit_blocks()) return core_.server.check(task, Sense::invalid_field_in_cdb(kLengthByte));
    if (core_.protection != nullptr && core_.protection->write_atomic(task, range)) return;
    task.transfer_bytes = core_.bytes(range.count);
    if (task.data_out_bytes < task.transfer_bytes) { // a part of it would not be atomic
        return core_.server.check(task, Sense::invalid_field_in_cdb(kLengthByte));
    }
    if (range.count == 0) return core_.server.good(task);
    run(task, range);
}

Job AtomicWrite::run(Task& task, BlockRange range) {
    RangeHold hold(core_.ranges, range, true);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    if (task.link.abort_requested) {
        core_.server.good(task);
        co_return;
    }
    // A copy: what the initiator changes meanwhile must not make the entry in the journal wrong.
    std::vector<std::uint8_t> data(core_.bytes(range.count));
    (void)copy_from(task.data_out, 0, data);
    Step<BlockStatus> writing =
        core_.journal->write({AtomicJournal::Piece{AtomicJournal::kVolume, core_.bytes(range.lba), data}, {}}, 1);
    const BlockStatus status = co_await writing;
    if (status != BlockStatus::kOk) {
        core_.server.check(task, medium_sense(status, BlockOperation::kWrite));
    } else {
        core_.server.good(task);
    }
}

} // namespace touka::scsi
