#include "scsi/disk/provisioning.hpp"

#include <algorithm>

#include "scsi/disk/protected_disk.hpp"

#include "scsi/parameter_data.hpp"

namespace touka::scsi {

using namespace spec::scsi;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr std::uint8_t kNoDataOut = 0x01, kUnmapBit = 0x08;
constexpr std::uint64_t kPatternBytes = 1 << 20;

} // namespace

Provisioning::Provisioning(DiskCore& core) : core_(core) {
    using namespace operation;
    const auto add = [&](std::vector<std::uint8_t> usage, std::optional<std::uint16_t> service_action,
                         ReservationClass (*rule)(const Cdb&), void (Provisioning::*execute)(Task&)) {
        core_.server.add({.service_action = service_action,
                          .usage = std::move(usage),
                          .reservation = rule,
                          .execute = [this, execute](Task& task) { (this->*execute)(task); }});
    };
    if (can_unmap()) add({kUnmap, 0, 0, 0, 0, 0, 0x1F, 0xFF, 0xFF, 0}, {}, changes_unit, &Provisioning::unmap);
    // A read-only disk refuses all of it as write-protected, whatever it could do otherwise.
    const std::uint8_t unmap_flag = (can_unmap() || core_.read_only ? kUnmapBit : 0) | core.protect_field();
    add(range_usage(kWriteSame10, unmap_flag), {}, changes_unit, &Provisioning::write_same);
    add(range_usage(kWriteSame16, unmap_flag | kNoDataOut), {}, changes_unit, &Provisioning::write_same);
    if (core_.long_commands)
        add(range_usage32(service_action::kWriteSame32, unmap_flag | kNoDataOut), service_action::kWriteSame32,
            changes_unit, &Provisioning::write_same);
    add({kServiceActionIn16, 0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0},
        service_action::kGetLbaStatus, reads_only, &Provisioning::get_lba_status);
}

std::uint32_t Provisioning::unmap_granularity_blocks() const {
    return std::max(1u, core_.volume.geometry().discard_granularity_bytes / core_.block_bytes);
}

void Provisioning::unmap(Task& task) {
    const std::size_t length = task.cdb.number(7, 2);
    const auto list = DeviceServer::parameters(task, length);
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    if (length == 0) return core_.server.good(task);
    if (length < 8 || list.size() < length) {
        return core_.server.check(task, Sense::illegal_request(SenseCode::kParameterListLengthError));
    }
    const std::size_t descriptor_bytes = load_number(std::span(list).subspan(2, 2));
    const std::size_t count = std::min(descriptor_bytes, list.size() - 8) / 16;
    if (count > kUnmapDescriptorLimit) return core_.server.check(task, Sense::invalid_field_in_parameters(2));
    std::vector<BlockRange> ranges;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto descriptor = std::span(list).subspan(8 + 16 * i, 16);
        const BlockRange range{load_number(descriptor.first(8)), load_number(descriptor.subspan(8, 4))};
        if (range.count == 0) continue;
        if (const auto sense = core_.check_range(range)) return core_.server.check(task, *sense);
        total += range.count;
        ranges.push_back(range);
    }
    if (total > unmap_limit_blocks()) return core_.server.check(task, Sense::invalid_field_in_parameters(8));
    if (core_.protection != nullptr && core_.protection->unmap(task, ranges)) return;
    run_unmap(task, std::move(ranges));
}

Job Provisioning::run_unmap(Task& task, std::vector<BlockRange> ranges) {
    for (const BlockRange range : ranges) {
        if (task.link.abort_requested) break;
        RangeHold hold(core_.ranges, range, false);
        co_await hold;
        if (const auto sense = core_.failure()) {
            core_.server.check(task, *sense);
            co_return;
        }
        BlockTransfer transfer(core_.volume, {.operation = BlockOperation::kWriteZeroes,
                                              .offset_bytes = core_.bytes(range.lba),
                                              .length_bytes = core_.bytes(range.count),
                                              .force_unit_access = core_.force_unit_access(false),
                                              .may_unmap = true});
        const BlockStatus status = co_await transfer;
        if (status != BlockStatus::kOk) {
            core_.server.check(task, medium_sense(status, BlockOperation::kWriteZeroes));
            co_return;
        }
    }
    core_.server.good(task);
}

void Provisioning::write_same(Task& task) {
    BlockRange range = block_range(task.cdb);
    const std::uint8_t flags = block_flags(task.cdb);
    const bool unmap = (flags & kUnmapBit) != 0;
    const bool no_data = (flags & kNoDataOut) != 0 && task.cdb.operation_code() != operation::kWriteSame10;
    if (const auto sense = core_.check_range({range.lba, std::max<std::uint64_t>(range.count, 1)})) {
        return core_.server.check(task, *sense);
    }
    if (range.count == 0) range.count = core_.block_count - range.lba; // WSNZ is 0: up to the end
    if (range.count > kWriteSameLimitBlocks)
        return core_.server.check(task, Sense::invalid_field_in_cdb(length_field(task.cdb)));
    if (const auto sense = core_.check_writable()) return core_.server.check(task, *sense);
    if (core_.protection != nullptr && core_.protection->write_same(task, range, unmap, no_data)) return;
    std::vector<std::uint8_t> block(core_.block_bytes);
    if (!no_data) {
        task.transfer_bytes = core_.block_bytes;
        if (task.data_out_bytes != core_.block_bytes) return core_.server.check(task, Sense::invalid_field_in_cdb(0));
        (void)copy_from(task.data_out, 0, block);
    }
    run_write_same(task, range, std::move(block), unmap);
}

Job Provisioning::run_write_same(Task& task, BlockRange range, std::vector<std::uint8_t> block, bool may_unmap) {
    RangeHold hold(core_.ranges, range, false);
    co_await hold;
    if (const auto sense = core_.failure()) {
        core_.server.check(task, *sense);
        co_return;
    }
    // What is unmapped reads as zeros, whatever the initiator sent along. (SBC-4 §5.53, table of UNMAP and ANCHOR)
    const bool zeros = may_unmap || std::ranges::all_of(block, [](std::uint8_t byte) { return byte == 0; });
    const std::uint64_t total_bytes = core_.bytes(range.count);
    std::vector<std::uint8_t> pattern;
    if (!zeros) {
        pattern.resize(std::min(total_bytes, kPatternBytes));
        for (std::size_t at = 0; at < pattern.size(); at += block.size()) {
            std::ranges::copy(block, pattern.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    for (std::uint64_t done = 0; done < total_bytes && !task.link.abort_requested;) {
        const std::uint64_t step = zeros ? DiskCore::kZeroStepBytes : pattern.size();
        const iovec buffer{.iov_base = pattern.data(), .iov_len = std::min<std::uint64_t>(step, total_bytes - done)};
        BlockTransfer transfer(core_.volume,
                               {.operation = zeros ? BlockOperation::kWriteZeroes : BlockOperation::kWrite,
                                .offset_bytes = core_.bytes(range.lba) + done,
                                .length_bytes = buffer.iov_len,
                                .buffers = std::span(&buffer, zeros ? 0 : 1),
                                .force_unit_access = core_.force_unit_access(false),
                                .may_unmap = may_unmap});
        const BlockStatus status = co_await transfer;
        if (status != BlockStatus::kOk) {
            core_.server.check(task, medium_sense(status, BlockOperation::kWrite));
            co_return;
        }
        done += buffer.iov_len;
    }
    core_.server.good(task);
}

/// One descriptor for each stretch of the same state, as many as fit. (SBC-4 §5.9)
void Provisioning::get_lba_status(Task& task) {
    constexpr std::uint8_t kMapped = 0, kDeallocated = 1;
    constexpr std::uint64_t kDescriptorBytes = 16, kDescriptorLimit = 1024, kLargestCount = 0xFFFF'FFFF;
    const std::uint64_t allocation_length = task.cdb.number(10, 4);
    std::uint64_t lba = task.cdb.number(2, 8);
    if (const auto sense = core_.check_range({lba, 0})) return core_.server.check(task, *sense);
    ParameterData data;
    data.number(0, 4).zeros(4);
    const std::uint64_t room = std::max<std::uint64_t>(allocation_length, 8 + kDescriptorBytes);
    while (lba < core_.block_count && data.size() + kDescriptorBytes <= room &&
           data.size() < 8 + kDescriptorBytes * kDescriptorLimit) {
        const auto extent = core_.volume.extent_at(core_.bytes(lba));
        // A block that is a hole only in part is mapped.
        std::uint64_t count = extent.allocated ? (extent.length_bytes + core_.block_bytes - 1) / core_.block_bytes
                                               : extent.length_bytes / core_.block_bytes;
        const bool mapped = extent.allocated || count == 0;
        count = std::clamp<std::uint64_t>(count, 1, std::min(core_.block_count - lba, kLargestCount));
        data.number(lba, 8).number(count, 4).byte(mapped ? kMapped : kDeallocated).zeros(3);
        lba += count;
    }
    data.set(0, data.size() - 4, 4);
    core_.server.reply(task, data.view(), allocation_length);
}

} // namespace touka::scsi
