#include "scsi/disk/protection_store.hpp"

#include <algorithm>
#include <array>

#include "scsi/disk/crc.hpp"
#include "scsi/disk/job.hpp"

namespace touka::scsi {

using spec::scsi::kProtectionBytes;
using spec::scsi::load_number;
using spec::scsi::store_number;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr std::uint64_t kMagic = 0x544F'554B'4150'4946, kVersion = 1; // "TOUKAPIF"
constexpr std::size_t kVersionAt = 8, kTypeAt = 16, kBlockBytesAt = 24, kBlockCountAt = 32, kCheckAt = 40;
constexpr unsigned kLayoutShift = 8; // in the field of the type
constexpr std::uint64_t kSectorBytes = 512;

std::uint64_t place_of(std::uint64_t lba) { return ProtectionStore::kInformationAt + lba * kProtectionBytes; }

void invert(std::span<std::uint8_t> bytes) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(~byte);
}

} // namespace

std::uint64_t ProtectionStore::file_bytes(std::uint64_t block_count) {
    const std::uint64_t bytes = kInformationAt + block_count * kProtectionBytes;
    return (bytes + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
}

ProtectionStore::ProtectionStore(storage::BlockDevice& file, std::uint32_t block_bytes, std::uint64_t block_count,
                                 ProtectionType type)
    : file_(file), block_bytes_(block_bytes), block_count_(block_count), type_(type), regions_(file, kHeaderBytes) {}

std::uint64_t ProtectionStore::group_blocks() const {
    return std::max<std::uint64_t>(file_.geometry().logical_block_bytes, kSectorBytes) / kProtectionBytes;
}

BlockRange ProtectionStore::whole_groups(const BlockRange& range) const {
    const std::uint64_t group = group_blocks();
    const std::uint64_t first = range.lba / group * group;
    const std::uint64_t end = (range.lba + range.count + group - 1) / group * group;
    return {first, end - first};
}

Step<BlockStatus> ProtectionStore::transfer(BlockOperation operation, std::uint64_t offset_bytes,
                                            std::span<std::uint8_t> bytes, bool stable) {
    const iovec buffer{.iov_base = bytes.data(), .iov_len = bytes.size()};
    BlockTransfer request(file_, {.operation = operation,
                                  .offset_bytes = offset_bytes,
                                  .length_bytes = bytes.size(),
                                  .buffers = std::span(&buffer, 1),
                                  .force_unit_access = stable});
    const BlockStatus status = co_await request;
    co_return status;
}

Step<BlockStatus> ProtectionStore::open() {
    const auto& geometry = file_.geometry();
    if (geometry.size_bytes < file_bytes(block_count_) || geometry.logical_block_bytes > kHeaderBytes) {
        co_return BlockStatus::kIoError;
    }
    std::vector<std::uint8_t> header(kHeaderBytes);
    Step<BlockStatus> reading = transfer(BlockOperation::kRead, 0, header, false);
    const BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    const auto field = [&](std::size_t at) { return load_number(std::span(header).subspan(at, 8)); };
    if (std::ranges::all_of(header, [](std::uint8_t byte) { return byte == 0; })) co_return status; // a new one
    if (field(0) != kMagic || field(kVersionAt) != kVersion ||
        field(kCheckAt) != Crc64::of(std::span(header).first(kCheckAt)) || (field(kTypeAt) & 0xFF) > 3 ||
        field(kTypeAt) >> kLayoutShift > 0xFF || field(kBlockBytesAt) != block_bytes_ ||
        field(kBlockCountAt) > block_count_) {
        co_return BlockStatus::kIoError;
    }
    type_ = static_cast<ProtectionType>(field(kTypeAt) & 0xFF);
    layout_ = static_cast<std::uint8_t>(field(kTypeAt) >> kLayoutShift);
    known_blocks_ = field(kBlockCountAt);
    co_return status;
}

Step<BlockStatus> ProtectionStore::set_type(ProtectionType type, std::uint8_t layout) {
    std::vector<std::uint8_t> header(kHeaderBytes);
    const auto set = [&](std::size_t at, std::uint64_t value) {
        store_number(std::span(header).subspan(at, 8), value);
    };
    set(0, kMagic);
    set(kVersionAt, kVersion);
    set(kTypeAt, static_cast<std::uint64_t>(type) | std::uint64_t{layout} << kLayoutShift);
    set(kBlockBytesAt, block_bytes_);
    set(kBlockCountAt, block_count_);
    set(kCheckAt, Crc64::of(std::span(header).first(kCheckAt)));
    Step<BlockStatus> writing = transfer(BlockOperation::kWrite, 0, header, true);
    const BlockStatus status = co_await writing;
    if (status == BlockStatus::kOk) {
        type_ = type;
        layout_ = layout;
        known_blocks_ = block_count_;
    }
    co_return status;
}

Step<BlockStatus> ProtectionStore::read(BlockRange range, std::span<std::uint8_t> information) {
    const BlockRange groups = whole_groups(range);
    std::vector<std::uint8_t> sectors(groups.count * kProtectionBytes);
    Step<BlockStatus> reading = transfer(BlockOperation::kRead, place_of(groups.lba), sectors, false);
    const BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    const auto wanted = std::span(sectors).subspan((range.lba - groups.lba) * kProtectionBytes, information.size());
    std::ranges::copy(wanted, information.begin());
    invert(information);
    co_return status;
}

Step<BlockStatus> ProtectionStore::prepare(BlockRange range, std::span<const std::uint8_t> information, Image& image) {
    const BlockRange groups = whole_groups(range);
    image.offset_bytes = place_of(groups.lba);
    image.bytes.assign(groups.count * kProtectionBytes, 0);
    const std::uint64_t sector = group_blocks() * kProtectionBytes;
    const std::uint64_t before = (range.lba - groups.lba) * kProtectionBytes;
    const std::uint64_t after = image.bytes.size() - before - information.size();
    const auto whole = std::span(image.bytes);
    if (before > 0 || (after > 0 && whole.size() == sector)) {
        Step<BlockStatus> reading = transfer(BlockOperation::kRead, image.offset_bytes, whole.first(sector), false);
        const BlockStatus status = co_await reading;
        if (status != BlockStatus::kOk) co_return status;
    }
    if (after > 0 && whole.size() > sector) {
        Step<BlockStatus> reading =
            transfer(BlockOperation::kRead, image.offset_bytes + whole.size() - sector, whole.last(sector), false);
        const BlockStatus status = co_await reading;
        if (status != BlockStatus::kOk) co_return status;
    }
    const auto place = whole.subspan(before, information.size());
    std::ranges::copy(information, place.begin());
    invert(place);
    co_return BlockStatus::kOk;
}

Step<BlockStatus> ProtectionStore::write(BlockRange range, std::span<const std::uint8_t> information, bool stable) {
    Image image;
    Step<BlockStatus> preparing = prepare(range, information, image);
    BlockStatus status = co_await preparing;
    if (status != BlockStatus::kOk) co_return status;
    Step<BlockStatus> writing = transfer(BlockOperation::kWrite, image.offset_bytes, image.bytes, stable);
    status = co_await writing;
    co_return status;
}

/// What is not whole groups at both ends is written, the rest becomes a hole.
Step<BlockStatus> ProtectionStore::reset(BlockRange range, bool stable) {
    const std::uint64_t group = group_blocks(), end = range.lba + range.count;
    const std::uint64_t first_whole = std::min((range.lba + group - 1) / group * group, end);
    const std::uint64_t end_whole = std::max(end == block_count_ ? end : end / group * group, first_whole);
    const std::array<BlockRange, 2> ends{BlockRange{range.lba, first_whole - range.lba},
                                         BlockRange{end_whole, end - end_whole}};
    for (const BlockRange& part : ends) {
        if (part.count == 0) continue;
        std::vector<std::uint8_t> information(part.count * kProtectionBytes, 0xFF);
        Step<BlockStatus> writing = write(part, information, stable);
        const BlockStatus status = co_await writing;
        if (status != BlockStatus::kOk) co_return status;
    }
    if (end_whole == first_whole) co_return BlockStatus::kOk;
    const BlockRange groups = whole_groups({first_whole, end_whole - first_whole});
    BlockTransfer zeroing(file_, {.operation = BlockOperation::kWriteZeroes,
                                  .offset_bytes = place_of(groups.lba),
                                  .length_bytes = groups.count * kProtectionBytes,
                                  .force_unit_access = stable,
                                  .may_unmap = true});
    const BlockStatus status = co_await zeroing;
    co_return status;
}

Step<BlockStatus> ProtectionStore::flush() {
    BlockTransfer flushing(file_, {.operation = BlockOperation::kFlush});
    const BlockStatus status = co_await flushing;
    co_return status;
}

} // namespace touka::scsi
