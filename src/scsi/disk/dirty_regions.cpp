#include "scsi/disk/dirty_regions.hpp"

#include <algorithm>
#include <bit>

#include "scsi/disk/job.hpp"

namespace touka::scsi {

using storage::BlockOperation;
using storage::BlockStatus;

DirtyRegions::DirtyRegions(storage::BlockDevice& file, std::uint64_t map_offset_bytes)
    : file_(file), map_offset_bytes_(map_offset_bytes), map_(kMapBytes) {}

std::uint64_t DirtyRegions::region_bytes(std::uint64_t disk_bytes) {
    constexpr std::uint64_t kRegions = kMapBytes * 8;
    return std::max(kSmallestRegionBytes, std::bit_ceil(disk_bytes / kRegions + 1));
}

void DirtyRegions::set_bit(std::uint64_t region, bool value) {
    const auto mask = static_cast<std::uint8_t>(0x80 >> region % 8);
    std::uint8_t& byte = map_[region / 8];
    byte = static_cast<std::uint8_t>(value ? byte | mask : byte & ~mask);
}

Step<BlockStatus> DirtyRegions::load(std::vector<std::uint64_t>& dirty) {
    const iovec buffer{.iov_base = map_.data(), .iov_len = map_.size()};
    BlockTransfer reading(
        file_, {.offset_bytes = map_offset_bytes_, .length_bytes = map_.size(), .buffers = std::span(&buffer, 1)});
    const BlockStatus status = co_await reading;
    if (status != BlockStatus::kOk) co_return status;
    for (std::uint64_t region = 0; region < kMapBytes * 8; ++region) {
        if ((map_[region / 8] & 0x80 >> region % 8) != 0) dirty.push_back(region);
    }
    co_return status;
}

Step<BlockStatus> DirtyRegions::clear() {
    std::ranges::fill(map_, std::uint8_t{0});
    const iovec buffer{.iov_base = map_.data(), .iov_len = map_.size()};
    BlockTransfer writing(file_, {.operation = BlockOperation::kWrite,
                                  .offset_bytes = map_offset_bytes_,
                                  .length_bytes = map_.size(),
                                  .buffers = std::span(&buffer, 1),
                                  .force_unit_access = true});
    const BlockStatus status = co_await writing;
    co_return status;
}

Step<BlockStatus> DirtyRegions::write_sector(std::uint64_t sector, bool stable) {
    RangeHold hold(sectors_, {sector, 1}, true);
    co_await hold;
    const auto first = map_.begin() + static_cast<std::ptrdiff_t>(sector * kSectorBytes);
    std::vector<std::uint8_t> bytes(first, first + kSectorBytes);
    const iovec buffer{.iov_base = bytes.data(), .iov_len = bytes.size()};
    BlockTransfer writing(file_, {.operation = BlockOperation::kWrite,
                                  .offset_bytes = map_offset_bytes_ + sector * kSectorBytes,
                                  .length_bytes = bytes.size(),
                                  .buffers = std::span(&buffer, 1),
                                  .force_unit_access = stable});
    const BlockStatus status = co_await writing;
    co_return status;
}

Step<BlockStatus> DirtyRegions::begin(BlockRange range) {
    const std::uint64_t first = range.lba / region_blocks_, last = (range.lba + range.count - 1) / region_blocks_;
    bool stable = true;
    for (std::uint64_t number = first; number <= last; ++number) {
        Region& region = regions_[number];
        region.last_write = ++writes_;
        ++region.writers;
        region.flushes = 0;
        set_bit(number, true);
        stable = stable && region.stable;
    }
    if (stable) co_return BlockStatus::kOk;
    constexpr std::uint64_t kRegionsOfSector = kSectorBytes * 8;
    for (std::uint64_t sector = first / kRegionsOfSector; sector <= last / kRegionsOfSector; ++sector) {
        Step<BlockStatus> writing = write_sector(sector, true);
        const BlockStatus status = co_await writing;
        if (status != BlockStatus::kOk) co_return status;
    }
    // Writers keep them in the map.
    for (std::uint64_t number = first; number <= last; ++number) regions_[number].stable = true;
    co_return BlockStatus::kOk;
}

void DirtyRegions::end(BlockRange range, bool failed) {
    const std::uint64_t first = range.lba / region_blocks_, last = (range.lba + range.count - 1) / region_blocks_;
    for (std::uint64_t number = first; number <= last; ++number) {
        Region& region = regions_[number];
        --region.writers;
        region.failed |= failed;
    }
}

DirtyRegions::Snapshot DirtyRegions::before_flush() const {
    Snapshot snapshot;
    for (const auto& [number, region] : regions_) {
        if (region.writers == 0 && !region.failed) snapshot.emplace_back(number, region.last_write);
    }
    return snapshot;
}

Step<BlockStatus> DirtyRegions::after_flush(Snapshot snapshot) {
    std::vector<std::uint64_t> sectors;
    for (const auto& [number, last_write] : snapshot) {
        const auto found = regions_.find(number);
        if (found == regions_.end() || found->second.last_write != last_write) continue;
        if (++found->second.flushes < kFlushes) continue;
        set_bit(number, false);
        regions_.erase(found);
        if (const std::uint64_t sector = number / (kSectorBytes * 8); sectors.empty() || sectors.back() != sector) {
            sectors.push_back(sector);
        }
    }
    for (const std::uint64_t sector : sectors) {
        Step<BlockStatus> writing = write_sector(sector, false);
        const BlockStatus status = co_await writing;
        if (status != BlockStatus::kOk) co_return status;
    }
    co_return BlockStatus::kOk;
}

} // namespace touka::scsi
