// ProtectedDisk: reads, writes, and what writes many blocks with little data.
#include <algorithm>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

bool ProtectedDisk::read(Task& task) {
    const BlockRange range = block_range(task.cdb);
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    if (const auto sense = core_.check_transfer(range, task.cdb)) {
        core_.server.check(task, *sense);
    } else {
        task.transfer_bytes = range.count * unit_bytes(request);
        run_read(task, range, request);
    }
    return true;
}

Job ProtectedDisk::run_read(Task& task, BlockRange range, Request request) {
    RangeHold hold(core_.ranges, range, false);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    const std::uint64_t wanted = std::min(task.transfer_bytes, task.data_in_limit_bytes);
    const auto memory = wanted > 0 ? task.data_in(wanted) : std::span<const iovec>();
    if (wanted > 0 && memory.empty()) {
        core_.server.finish(task, Status::kBusy);
        co_return;
    }
    Blocks blocks;
    std::vector<std::uint8_t> mixed;
    std::uint64_t stored_bytes = 0;
    for (std::uint64_t done = 0; done < range.count && !task.link.abort_requested;) {
        const BlockRange chunk{range.lba + done, std::min(chunk_blocks(), range.count - done)};
        Step<Verdict> fetching = fetch(chunk, request.tags.after(done), request.checks(), blocks);
        const Verdict verdict = co_await fetching;
        if (verdict) {
            core_.server.check(task, *verdict);
            co_return;
        }
        if (request.exchanged()) {
            mixed.resize(chunk.count * unit_bytes(request));
            mix_protection(blocks.data, blocks.information, core_.block_bytes, mixed);
        }
        stored_bytes += copy_to(memory, done * unit_bytes(request), request.exchanged() ? mixed : blocks.data);
        done += chunk.count;
    }
    task.data_in_bytes = stored_bytes;
    core_.server.good(task);
}

bool ProtectedDisk::write(Task& task) { return change(task, false); }

bool ProtectedDisk::change(Task& task, bool or_data) {
    BlockRange range = block_range(task.cdb);
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    Verdict wrong = core_.check_transfer(range, task.cdb);
    if (!wrong) wrong = core_.check_writable();
    if (wrong) {
        core_.server.check(task, *wrong);
        return true;
    }
    task.transfer_bytes = range.count * unit_bytes(request);
    range.count = std::min(range.count, task.data_out_bytes / unit_bytes(request));
    run_write(task, range, request, or_data);
    return true;
}

Job ProtectedDisk::run_write(Task& task, BlockRange range, Request request, bool or_data) {
    RangeHold hold(core_.ranges, store_.whole_groups(range), true);
    co_await hold;
    Verdict verdict = core_.failure();
    const bool fua = core_.force_unit_access((block_flags(task.cdb) & kFua) != 0);
    Blocks blocks;
    for (std::uint64_t done = 0; done < range.count && !verdict && !task.link.abort_requested;) {
        const BlockRange chunk{range.lba + done, std::min(chunk_blocks(), range.count - done)};
        Request here = request;
        here.tags = request.tags.after(done);
        verdict = receive(task, done, chunk, here, blocks);
        if (!verdict && or_data) {
            Step<Verdict> merging = or_with_medium(chunk, here, blocks);
            verdict = co_await merging;
        }
        if (verdict) break;
        Step<Verdict> storing = store(chunk, blocks, fua);
        verdict = co_await storing;
        done += chunk.count;
    }
    finish(task, verdict);
}

bool ProtectedDisk::write_atomic(Task& task, const BlockRange& range) {
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    task.transfer_bytes = range.count * unit_bytes(request);
    if (task.data_out_bytes < task.transfer_bytes) { // a part of it would not be atomic
        core_.server.check(task, Sense::invalid_field_in_cdb(12));
    } else if (range.count == 0) {
        core_.server.good(task);
    } else {
        run_write_atomic(task, range, request);
    }
    return true;
}

Job ProtectedDisk::run_write_atomic(Task& task, BlockRange range, Request request) {
    RangeHold hold(core_.ranges, store_.whole_groups(range), true);
    co_await hold;
    Verdict verdict = core_.failure();
    if (verdict || task.link.abort_requested) {
        finish(task, verdict);
        co_return;
    }
    Blocks blocks;
    verdict = receive(task, 0, range, request, blocks);
    if (verdict) {
        core_.server.check(task, *verdict);
        co_return;
    }
    ProtectionStore::Image image;
    Step<BlockStatus> preparing = store_.prepare(range, blocks.information, image);
    BlockStatus status = co_await preparing;
    if (status == BlockStatus::kOk) {
        Step<BlockStatus> writing =
            core_.journal->write({AtomicJournal::Piece{AtomicJournal::kVolume, core_.bytes(range.lba), blocks.data},
                                  AtomicJournal::Piece{AtomicJournal::kSide, image.offset_bytes, image.bytes}},
                                 2);
        status = co_await writing;
    }
    if (status != BlockStatus::kOk) verdict = medium_sense(status, BlockOperation::kWrite);
    finish(task, verdict);
}

bool ProtectedDisk::write_same(Task& task, const BlockRange& range, bool may_unmap, bool no_data) {
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    task.transfer_bytes = no_data ? 0 : unit_bytes(request);
    if (!no_data && task.data_out_bytes != task.transfer_bytes) {
        core_.server.check(task, Sense::invalid_field_in_cdb(0));
    } else {
        run_write_same(task, range, request, may_unmap, no_data);
    }
    return true;
}

Job ProtectedDisk::run_write_same(Task& task, BlockRange range, Request request, bool may_unmap, bool no_data) {
    RangeHold hold(core_.ranges, store_.whole_groups(range), true);
    co_await hold;
    Verdict verdict = core_.failure();
    if (!verdict) {
        Step<Verdict> writing = write_same_blocks(task, range, request, may_unmap, no_data);
        verdict = co_await writing;
    }
    finish(task, verdict);
}

Step<ProtectedDisk::Verdict> ProtectedDisk::write_same_blocks(Task& task, BlockRange range, Request request,
                                                              bool may_unmap, bool no_data) {
    Blocks one;
    resize(one, 1);
    if (!no_data) {
        Verdict verdict = receive(task, 0, {range.lba, 1}, request, one);
        if (verdict) co_return verdict;
    }
    const auto first = ProtectionInformation::load(one.information);
    const bool zeros = std::ranges::all_of(one.data, [](std::uint8_t byte) { return byte == 0; });
    // Unmapped blocks have the information of blocks that nobody has written, and so have those without data.
    const bool unwritten =
        no_data || (may_unmap && zeros && (!request.exchanged() || first == ProtectionInformation{}));
    const bool stable = core_.force_unit_access(false);
    const bool counts = type() == ProtectionType::kType1 || (type() == ProtectionType::kType2 && request.exchanged());
    const std::uint64_t step = unwritten ? DiskCore::kZeroStepBytes / core_.block_bytes : chunk_blocks();
    Blocks pattern;
    for (std::uint64_t done = 0; done < range.count && !task.link.abort_requested;) {
        const BlockRange chunk{range.lba + done, std::min(step, range.count - done)};
        Verdict verdict;
        if (unwritten) {
            Step<Verdict> storing = store_unwritten(chunk, stable, may_unmap);
            verdict = co_await storing;
        } else {
            fill_with(one, counts, done, chunk.count, pattern);
            Step<Verdict> storing = store(chunk, pattern, stable);
            verdict = co_await storing;
        }
        if (verdict) co_return verdict;
        done += chunk.count;
    }
    co_return std::nullopt;
}

bool ProtectedDisk::unmap(Task& task, const std::vector<BlockRange>& ranges) {
    if (type() == ProtectionType::kNone) return false;
    run_unmap(task, ranges);
    return true;
}

Job ProtectedDisk::run_unmap(Task& task, std::vector<BlockRange> ranges) {
    const bool stable = core_.force_unit_access(false);
    Verdict verdict;
    for (const BlockRange& range : ranges) {
        if (task.link.abort_requested || verdict) break;
        RangeHold hold(core_.ranges, store_.whole_groups(range), true);
        co_await hold;
        verdict = core_.failure();
        if (verdict) break;
        Step<Verdict> storing = store_unwritten(range, stable, true);
        verdict = co_await storing;
    }
    finish(task, verdict);
}

} // namespace touka::scsi
