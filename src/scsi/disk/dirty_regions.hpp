#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "scsi/disk/block_cdb.hpp"
#include "scsi/disk/range_locks.hpp"
#include "scsi/disk/step.hpp"
#include "storage/block_device.hpp"

namespace touka::scsi {

/// Which regions of a disk may have blocks without the information that belongs to them, because a crash came between:
/// a bit for each region in a file, stable before the first write to the region, and taken back some flushes after the
/// last one. At the next start only marked regions have to be looked at. On the volumes' reactor.
class DirtyRegions {
public:
    static constexpr std::uint64_t kMapBytes = 32 << 10;
    static constexpr std::uint64_t kSmallestRegionBytes = 1 << 20;
    /// Flushes without a write in between until a region is clean: those in use are not marked again and again.
    static constexpr unsigned kFlushes = 4;

    /// @param file outlives this; the map is at map_offset_bytes, all zeros in a new file.
    DirtyRegions(storage::BlockDevice& file, std::uint64_t map_offset_bytes);

    /// Regions are as small as the map allows for so many bytes: a power of two.
    [[nodiscard]] static std::uint64_t region_bytes(std::uint64_t disk_bytes);
    void set_region_blocks(std::uint64_t blocks) { region_blocks_ = blocks; }

    /// @param dirty gets the numbers of regions that were marked when the host stopped. Before any write.
    Step<storage::BlockStatus> load(std::vector<std::uint64_t>& dirty);
    /// Nothing is dirty any more; stable.
    Step<storage::BlockStatus> clear();

    /// Before blocks of the range are written. Each begin has an end, also after a failure.
    Step<storage::BlockStatus> begin(BlockRange range);
    /// @param failed the regions stay dirty until the next start.
    void end(BlockRange range, bool failed);

    using Snapshot = std::vector<std::pair<std::uint64_t, std::uint64_t>>; ///< regions, and their last writes
    /// Before a flush of disk and information: the regions it covers.
    [[nodiscard]] Snapshot before_flush() const;
    /// After it: unmarks those that had enough of them. A failure to do so does no harm.
    Step<storage::BlockStatus> after_flush(Snapshot snapshot);

private:
    struct Region {
        std::uint64_t last_write = 0; ///< numbered over all regions
        unsigned writers = 0;         ///< under way
        unsigned flushes = 0;         ///< since the last write
        bool stable = false;          ///< the mark is
        bool failed = false;
    };
    static constexpr std::uint64_t kSectorBytes = 4096;

    void set_bit(std::uint64_t region, bool value);
    /// Sectors of the map are written one at a time and as they are then: the last write has all that came before.
    Step<storage::BlockStatus> write_sector(std::uint64_t sector, bool stable);

    storage::BlockDevice& file_;
    std::uint64_t map_offset_bytes_;
    std::uint64_t region_blocks_ = 1;
    std::vector<std::uint8_t> map_;
    std::map<std::uint64_t, Region> regions_; ///< those that are marked
    RangeLocks sectors_;
    std::uint64_t writes_ = 0;
};

} // namespace touka::scsi
