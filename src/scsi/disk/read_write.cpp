#include "scsi/disk/read_write.hpp"

#include <algorithm>
#include <utility>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

/// One transfer from start to end.
struct ReadWrite::Slot : RangeLocks::Claim {
    ReadWrite* owner = nullptr;
    Task* task = nullptr; // null while it is free
    storage::BlockRequest request;
    std::vector<iovec> cut; // a write's buffers when they hold more than is written
};

ReadWrite::ReadWrite(DiskCore& core) : core_(core) {
    using namespace operation;
    const auto add = [&](std::vector<std::uint8_t> usage, std::optional<std::uint16_t> service_action, bool writes) {
        core_.server.add({.service_action = service_action,
                          .usage = std::move(usage),
                          .reservation = writes ? changes_unit : reads_only,
                          .execute = [this, writes](Task& task) { return writes ? write(task) : read(task); }});
    };
    core.server.set_withdrawal([this] { withdraw_aborted(); });
    const std::uint8_t flags = kDpo | kFua | core.protect_field();
    for (const std::uint8_t code : {kRead6, kRead10, kRead12, kRead16}) add(range_usage(code, flags), {}, false);
    for (const std::uint8_t code : {kWrite6, kWrite10, kWrite12, kWrite16}) {
        add(range_usage(code, flags), {}, true);
    }
    if (!core_.long_commands) return;
    add(range_usage32(service_action::kRead32, flags), service_action::kRead32, false);
    add(range_usage32(service_action::kWrite32, flags), service_action::kWrite32, true);
}

ReadWrite::~ReadWrite() = default;

void ReadWrite::read(Task& task) {
    const BlockRange range = block_range(task.cdb);
    if (core_.protection != nullptr && core_.protection->read(task)) {
        ++counters_.reads;
        counters_.read_blocks += range.count;
        return;
    }
    if (const auto sense = core_.check_transfer(range, task.cdb)) return core_.server.check(task, *sense);
    const std::uint64_t length_bytes = core_.bytes(range.count);
    task.transfer_bytes = length_bytes;
    ++counters_.reads;
    counters_.read_blocks += range.count;
    if (length_bytes == 0) return core_.server.good(task);
    if (length_bytes > task.data_in_limit_bytes) {
        read_cut(task, range);
        return;
    }
    const auto memory = task.data_in(length_bytes);
    if (memory.empty()) return core_.server.finish(task, Status::kBusy);
    submit(task, range, BlockOperation::kRead, length_bytes, memory);
}

/// The initiator's buffer is smaller than what the command reads: it gets the first part of it, and a residual.
Job ReadWrite::read_cut(Task& task, BlockRange range) {
    RangeHold hold(core_.ranges, range, false);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    std::vector<std::uint8_t> data(core_.bytes(range.count));
    const iovec buffer{.iov_base = data.data(), .iov_len = data.size()};
    storage::BlockRequest request;
    request.offset_bytes = core_.bytes(range.lba);
    request.length_bytes = data.size();
    request.buffers = std::span(&buffer, 1);
    BlockTransfer transfer(core_.volume, std::move(request));
    const BlockStatus status = co_await transfer;
    if (status != BlockStatus::kOk) {
        core_.server.check(task, medium_sense(status, BlockOperation::kRead));
        co_return;
    }
    if (task.data_in_limit_bytes > 0) {
        const auto memory = task.data_in(task.data_in_limit_bytes);
        if (memory.empty()) {
            core_.server.finish(task, Status::kBusy);
            co_return;
        }
        task.data_in_bytes = copy_to(memory, 0, std::span(data).first(task.data_in_limit_bytes));
    }
    core_.server.good(task);
}

void ReadWrite::write(Task& task) {
    const BlockRange range = block_range(task.cdb);
    if (core_.protection != nullptr && core_.protection->write(task)) {
        ++counters_.writes;
        counters_.written_blocks += range.count;
        return;
    }
    if (const auto sense = core_.check_transfer(range, task.cdb)) return core_.server.check(task, *sense);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    task.transfer_bytes = core_.bytes(range.count);
    // An initiator that sends less than it announced in the CDB gets as many whole blocks written, and a residual.
    const std::uint64_t sent_blocks = std::min(range.count, task.data_out_bytes / core_.block_bytes);
    ++counters_.writes;
    counters_.written_blocks += sent_blocks;
    if (sent_blocks == 0) return core_.server.good(task);
    submit(task, {range.lba, sent_blocks}, BlockOperation::kWrite, core_.bytes(sent_blocks), task.data_out);
}

void ReadWrite::submit(Task& task, const BlockRange& range, BlockOperation operation, std::uint64_t length_bytes,
                       std::span<const iovec> buffers) {
    if (free_.empty()) {
        Slot& slot = *slots_.emplace_back(std::make_unique<Slot>());
        slot.owner = this;
        slot.on_grant = [](RangeLocks::Claim& claim) {
            auto& granted = static_cast<Slot&>(claim);
            if (granted.task->link.abort_requested) return granted.owner->finish(granted, BlockStatus::kOk);
            if (granted.owner->core_.failure()) return granted.owner->finish(granted, BlockStatus::kIoError);
            granted.owner->core_.volume.submit(granted.request);
            granted.owner->core_.volume.commit();
        };
        slot.request.complete = [&slot](BlockStatus status) { slot.owner->finish(slot, status); };
        free_.push_back(&slot);
    }
    Slot& slot = *free_.back();
    free_.pop_back();
    slot.task = &task;
    slot.range = range;
    slot.request.operation = operation;
    slot.request.offset_bytes = core_.bytes(range.lba);
    slot.request.length_bytes = length_bytes;
    slot.request.buffers = buffers;
    slot.request.force_unit_access =
        operation == BlockOperation::kWrite && core_.force_unit_access((block_flags(task.cdb) & kFua) != 0);
    if (operation == BlockOperation::kWrite && task.data_out_bytes > length_bytes) {
        slot.cut.clear();
        for (std::uint64_t left = length_bytes; const iovec& buffer : buffers) {
            if (left == 0) break;
            const std::size_t piece = std::min<std::uint64_t>(buffer.iov_len, left);
            slot.cut.push_back({.iov_base = buffer.iov_base, .iov_len = piece});
            left -= piece;
        }
        slot.request.buffers = slot.cut;
    }
    if (core_.ranges.acquire(slot)) core_.volume.submit(slot.request);
}

void ReadWrite::finish(Slot& slot, BlockStatus status) {
    Task& task = *std::exchange(slot.task, nullptr);
    const BlockOperation operation = slot.request.operation;
    if (operation == BlockOperation::kRead && status == BlockStatus::kOk) {
        task.data_in_bytes = slot.request.length_bytes;
    }
    core_.ranges.release(slot);
    free_.push_back(&slot);
    if (status != BlockStatus::kOk) return core_.server.check(task, medium_sense(status, operation));
    core_.server.good(task);
}

/// What waits for its blocks, or in the volume behind others, never begins.
void ReadWrite::withdraw_aborted() {
    for (std::size_t i = 0; i < slots_.size(); ++i) { // an end may begin a transfer that takes another slot
        Slot& slot = *slots_[i];
        if (slot.task == nullptr || !slot.task->link.abort_requested) continue;
        if (slot.waits() || core_.volume.withdraw(slot.request)) finish(slot, BlockStatus::kOk);
    }
}

} // namespace touka::scsi
