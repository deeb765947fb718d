// ProtectedDisk: commands that look at what is on the medium.
#include <algorithm>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;

namespace {

constexpr std::uint8_t kByteCheck = 0x06;
enum ByteCheck : std::uint8_t { kMediumOnly = 0, kCompareAll = 1, kReserved = 2, kCompareOneBlock = 3 };

Sense miscompare(std::uint64_t offset_bytes) {
    Sense sense = Sense::of(SenseKey::kMiscompare, SenseCode::kMiscompareDuringVerifyOperation);
    sense.information = offset_bytes;
    return sense;
}

} // namespace

bool ProtectedDisk::verify(Task& task, bool write_first) {
    BlockRange range = block_range(task.cdb);
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    const auto byte_check = static_cast<std::uint8_t>((block_flags(task.cdb) & kByteCheck) >> 1);
    const bool one_block = byte_check == kCompareOneBlock;
    const bool takes_data = write_first || byte_check == kCompareAll;
    Verdict wrong = takes_data ? core_.check_transfer(range, task.cdb) : core_.check_range(range);
    if (byte_check == kReserved || (write_first && one_block)) {
        const bool in_32_bytes = task.cdb.operation_code() == operation::kVariableLength;
        wrong = Sense::invalid_field_in_cdb(in_32_bytes ? 10 : 1, std::uint8_t{2});
    }
    if (!wrong && write_first) wrong = core_.check_writable();
    if (wrong) {
        core_.server.check(task, *wrong);
        return true;
    }
    task.transfer_bytes = one_block && range.count > 0 ? unit_bytes(request)
                          : takes_data                 ? range.count * unit_bytes(request)
                                                       : 0;
    if (task.transfer_bytes > task.data_out_bytes) { // what was not sent is neither written nor compared
        range.count = one_block ? 0 : task.data_out_bytes / unit_bytes(request);
    }
    run_verify(task, range, request, byte_check, write_first);
    return true;
}

Job ProtectedDisk::run_verify(Task& task, BlockRange range, Request request, std::uint8_t byte_check,
                              bool write_first) {
    RangeHold hold(core_.ranges, write_first ? store_.whole_groups(range) : range, write_first);
    co_await hold;
    Verdict verdict = core_.failure();
    for (std::uint64_t done = 0; done < range.count && !verdict && !task.link.abort_requested;) {
        const BlockRange chunk{range.lba + done, std::min(chunk_blocks(), range.count - done)};
        Step<Verdict> verifying = verify_chunk(task, done, chunk, request, byte_check, write_first);
        verdict = co_await verifying;
        done += chunk.count;
    }
    finish(task, verdict);
}

Step<ProtectedDisk::Verdict> ProtectedDisk::verify_chunk(Task& task, std::uint64_t done, BlockRange range,
                                                         Request request, std::uint8_t byte_check, bool write_first) {
    Request here = request;
    here.tags = request.tags.after(done);
    Blocks sent, medium;
    Verdict verdict;
    if (byte_check == kCompareOneBlock) {
        // One block and its information stand for all; the reference tag counts on where it counts.
        Blocks one;
        verdict = receive(task, 0, {range.lba - done, 1}, request, one);
        if (verdict) co_return verdict;
        fill_with(one, type() != ProtectionType::kType3, done, range.count, sent);
    } else if (write_first || byte_check == kCompareAll) {
        verdict = receive(task, done, range, here, sent);
        if (verdict) co_return verdict;
    }
    if (write_first) {
        Step<Verdict> storing = store(range, sent, true);
        verdict = co_await storing;
        if (verdict) co_return verdict;
    }
    // What was written without information cannot be asked for the tags of the CDB.
    const bool own_tags = write_first && !request.exchanged();
    Step<Verdict> fetching = fetch(range, own_tags ? tags_at(range.lba) : here.tags, request.checks(), medium);
    verdict = co_await fetching;
    if (verdict || byte_check == kMediumOnly) co_return verdict;
    if (const auto at = difference(medium, sent, request)) {
        co_return miscompare(byte_check == kCompareOneBlock ? *at % unit_bytes(request)
                                                            : *at + done * unit_bytes(request));
    }
    co_return std::nullopt;
}

bool ProtectedDisk::compare_and_write(Task& task, const BlockRange& range) {
    Request request;
    const Entry entry = enter(task, range, request);
    if (entry != Entry::kTaken) return entry == Entry::kRefused;
    task.transfer_bytes = 2 * range.count * unit_bytes(request);
    if (task.data_out_bytes != task.transfer_bytes) {
        core_.server.check(task, Sense::invalid_field_in_cdb(13));
    } else {
        run_compare_and_write(task, range, request);
    }
    return true;
}

Job ProtectedDisk::run_compare_and_write(Task& task, BlockRange range, Request request) {
    RangeHold hold(core_.ranges, store_.whole_groups(range), true);
    co_await hold;
    Verdict verdict = core_.failure();
    Blocks medium, expected, news;
    if (!verdict) verdict = receive(task, 0, range, request, expected);
    if (!verdict) verdict = receive(task, range.count, range, request, news);
    if (verdict || range.count == 0) {
        finish(task, verdict);
        co_return;
    }
    Step<Verdict> fetching = fetch(range, request.tags, request.checks(), medium);
    verdict = co_await fetching;
    if (!verdict) {
        if (const auto at = difference(medium, expected, request)) verdict = miscompare(*at);
    }
    if (!verdict && !task.link.abort_requested) {
        const bool fua = core_.force_unit_access((block_flags(task.cdb) & kFua) != 0);
        Step<Verdict> storing = store(range, news, fua);
        verdict = co_await storing;
    }
    finish(task, verdict);
}

bool ProtectedDisk::or_write(Task& task) { return change(task, true); }

/// The tags are those that were sent, or made; the guard is that of the outcome. (SBC-4 §5.7)
Step<ProtectedDisk::Verdict> ProtectedDisk::or_with_medium(BlockRange range, Request request, Blocks& sent) {
    Blocks medium;
    Step<Verdict> fetching = fetch(range, request.tags, request.checks(), medium);
    const Verdict verdict = co_await fetching;
    if (verdict) co_return verdict;
    for (std::size_t i = 0; i < sent.data.size(); ++i) sent.data[i] |= medium.data[i];
    std::vector<std::uint8_t> made(sent.information.size());
    make_protection(sent.data, core_.block_bytes, request.tags, 0, made);
    for (std::size_t at = 0; at < sent.information.size(); at += kProtectionBytes) {
        std::copy_n(made.begin() + static_cast<std::ptrdiff_t>(at), 2,
                    sent.information.begin() + static_cast<std::ptrdiff_t>(at));
    }
    co_return std::nullopt;
}

} // namespace touka::scsi
