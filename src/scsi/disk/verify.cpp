#include "scsi/disk/verify.hpp"

#include <algorithm>

#include "scsi/disk/protected_disk.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockRequest;
using storage::BlockStatus;

namespace {

constexpr std::uint8_t kByteCheck = 0x06;
constexpr std::size_t kChunkBytes = 1 << 20;
enum ByteCheck : std::uint8_t { kMediumOnly = 0, kCompareAll = 1, kReserved = 2, kCompareOneBlock = 3 };

/// The data of the initiator from `offset_bytes` on, or one block of it again and again.
void expected_data(const Task& task, std::uint8_t byte_check, std::uint64_t offset_bytes, std::uint32_t block_bytes,
                   std::span<std::uint8_t> to) {
    if (byte_check != kCompareOneBlock) {
        (void)copy_from(task.data_out, offset_bytes, to);
        return;
    }
    (void)copy_from(task.data_out, 0, to.first(block_bytes));
    for (std::size_t at = block_bytes; at < to.size(); at += block_bytes) {
        std::copy_n(to.begin(), block_bytes, to.begin() + static_cast<std::ptrdiff_t>(at));
    }
}

Sense miscompare(std::uint64_t offset_bytes) {
    Sense sense = Sense::of(SenseKey::kMiscompare, SenseCode::kMiscompareDuringVerifyOperation);
    sense.information = offset_bytes;
    return sense;
}

} // namespace

VerifyCommands::VerifyCommands(DiskCore& core) : core_(core) {
    using namespace operation;
    const auto add = [&](std::vector<std::uint8_t> usage, std::optional<std::uint16_t> service_action, bool writes) {
        core_.server.add({.service_action = service_action,
                          .usage = std::move(usage),
                          .reservation = writes ? changes_unit : reads_only,
                          .execute = [this, writes](Task& task) { verify(task, writes); }});
    };
    const std::uint8_t flags = kDpo | kByteCheck | core.protect_field();
    for (const std::uint8_t code : {kVerify10, kVerify12, kVerify16}) add(range_usage(code, flags), {}, false);
    for (const std::uint8_t code : {kWriteAndVerify10, kWriteAndVerify12, kWriteAndVerify16}) {
        add(range_usage(code, flags), {}, true);
    }
    if (!core_.long_commands) return;
    add(range_usage32(service_action::kVerify32, flags), service_action::kVerify32, false);
    add(range_usage32(service_action::kWriteAndVerify32, flags), service_action::kWriteAndVerify32, true);
}

void VerifyCommands::verify(Task& task, bool write_first) {
    if (core_.protection != nullptr && core_.protection->verify(task, write_first)) return;
    BlockRange range = block_range(task.cdb);
    const auto byte_check = static_cast<std::uint8_t>((block_flags(task.cdb) & kByteCheck) >> 1);
    const bool one_block = byte_check == kCompareOneBlock;
    if (byte_check == kReserved || (write_first && one_block)) {
        const bool in_32_bytes = task.cdb.operation_code() == operation::kVariableLength;
        return core_.server.check(task, Sense::invalid_field_in_cdb(in_32_bytes ? 10 : 1, std::uint8_t{2}));
    }
    const bool takes_data = write_first || byte_check == kCompareAll;
    const auto wrong = takes_data ? core_.check_transfer(range, task.cdb) : core_.check_range(range);
    if (wrong) return core_.server.check(task, *wrong);
    if (write_first) {
        if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    }
    task.transfer_bytes = one_block && range.count > 0 ? core_.block_bytes : takes_data ? core_.bytes(range.count) : 0;
    if (task.transfer_bytes > task.data_out_bytes) { // what was not sent is neither written nor compared
        range.count = one_block ? 0 : task.data_out_bytes / core_.block_bytes;
    }
    if (range.count == 0) return core_.server.good(task);
    run(task, range, byte_check, write_first);
}

Job VerifyCommands::run(Task& task, BlockRange range, std::uint8_t byte_check, bool write_first) {
    RangeHold hold(core_.ranges, range, false);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    const std::uint64_t total_bytes = core_.bytes(range.count);
    std::vector<std::uint8_t> medium(std::min<std::uint64_t>(total_bytes, kChunkBytes)), expected(medium.size());
    for (std::uint64_t done = 0; done < total_bytes;) {
        if (task.link.abort_requested) break;
        const std::size_t length = std::min<std::uint64_t>(medium.size(), total_bytes - done);
        iovec buffer{.iov_base = expected.data(), .iov_len = length};
        const std::uint64_t offset_bytes = core_.bytes(range.lba) + done;
        if (write_first || byte_check != kMediumOnly) {
            expected_data(task, byte_check, done, core_.block_bytes, std::span(expected).first(length));
        }
        if (write_first) {
            BlockTransfer write(core_.volume, {.operation = BlockOperation::kWrite,
                                               .offset_bytes = offset_bytes,
                                               .length_bytes = length,
                                               .buffers = std::span(&buffer, 1),
                                               .force_unit_access = true});
            const BlockStatus status = co_await write;
            if (status != BlockStatus::kOk) {
                core_.server.check(task, medium_sense(status, BlockOperation::kWrite));
                co_return;
            }
        }
        buffer.iov_base = medium.data();
        BlockTransfer read(core_.volume,
                           {.offset_bytes = offset_bytes, .length_bytes = length, .buffers = std::span(&buffer, 1)});
        const BlockStatus status = co_await read;
        if (status != BlockStatus::kOk) {
            core_.server.check(task, medium_sense(status, BlockOperation::kRead));
            co_return;
        }
        if (byte_check != kMediumOnly) {
            const auto end = medium.begin() + static_cast<std::ptrdiff_t>(length);
            const auto differs = std::mismatch(medium.begin(), end, expected.begin()).first;
            if (differs != end) {
                const std::uint64_t at = done + static_cast<std::uint64_t>(differs - medium.begin());
                core_.server.check(task, miscompare(byte_check == kCompareOneBlock ? at % core_.block_bytes : at));
                co_return;
            }
        }
        done += length;
    }
    core_.server.good(task);
}

CompareCommands::CompareCommands(DiskCore& core) : core_(core) {
    using namespace operation;
    const std::uint8_t flags = kDpo | kFua | core.protect_field();
    core.server.add(
        {.usage = {kCompareAndWrite, flags, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0x1F, 0},
         .execute = [this](Task& task) { compare_and_write(task); }});
    core.server.add({.usage = range_usage(kOrWrite16, flags), .execute = [this](Task& task) { or_write(task); }});
}

void CompareCommands::compare_and_write(Task& task) {
    const BlockRange range{task.cdb.number(2, 8), task.cdb[13]};
    if (const auto sense = core_.check_range(range)) return core_.server.check(task, *sense);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    if (core_.protection != nullptr && core_.protection->compare_and_write(task, range)) return;
    task.transfer_bytes = 2 * core_.bytes(range.count);
    if (task.data_out_bytes != task.transfer_bytes) return core_.server.check(task, Sense::invalid_field_in_cdb(13));
    if (range.count == 0) return core_.server.good(task);
    read_change_write(task, range, false);
}

void CompareCommands::or_write(Task& task) {
    if (core_.protection != nullptr && core_.protection->or_write(task)) return;
    BlockRange range = block_range(task.cdb);
    if (const auto sense = core_.check_transfer(range, task.cdb)) return core_.server.check(task, *sense);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    task.transfer_bytes = core_.bytes(range.count);
    range.count = std::min(range.count, task.data_out_bytes / core_.block_bytes);
    if (range.count == 0) return core_.server.good(task);
    read_change_write(task, range, true);
}

Job CompareCommands::read_change_write(Task& task, BlockRange range, bool or_data) {
    RangeHold hold(core_.ranges, range, true);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    std::vector<std::uint8_t> medium(core_.bytes(range.count)), sent(medium.size());
    (void)copy_from(task.data_out, 0, sent);
    iovec buffer{.iov_base = medium.data(), .iov_len = medium.size()};
    BlockTransfer read(
        core_.volume,
        {.offset_bytes = core_.bytes(range.lba), .length_bytes = medium.size(), .buffers = std::span(&buffer, 1)});
    BlockStatus status = co_await read;
    if (status != BlockStatus::kOk) {
        core_.server.check(task, medium_sense(status, BlockOperation::kRead));
        co_return;
    }
    if (or_data) {
        for (std::size_t i = 0; i < sent.size(); ++i) sent[i] |= medium[i];
    } else {
        if (const auto differs = std::ranges::mismatch(medium, sent).in1; differs != medium.end()) {
            core_.server.check(task, miscompare(static_cast<std::uint64_t>(differs - medium.begin())));
            co_return;
        }
        (void)copy_from(task.data_out, medium.size(), sent);
    }
    if (task.link.abort_requested) {
        core_.server.good(task);
        co_return;
    }
    buffer.iov_base = sent.data();
    const bool fua = core_.force_unit_access((block_flags(task.cdb) & kFua) != 0);
    BlockTransfer write(core_.volume, {.operation = BlockOperation::kWrite,
                                       .offset_bytes = core_.bytes(range.lba),
                                       .length_bytes = sent.size(),
                                       .buffers = std::span(&buffer, 1),
                                       .force_unit_access = fua});
    status = co_await write;
    if (status != BlockStatus::kOk) {
        core_.server.check(task, medium_sense(status, BlockOperation::kWrite));
        co_return;
    }
    core_.server.good(task);
}

} // namespace touka::scsi
