#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scsi/disk/block_cdb.hpp"
#include "scsi/disk/dirty_regions.hpp"
#include "scsi/disk/protection.hpp"
#include "scsi/disk/step.hpp"
#include "storage/block_device.hpp"

namespace touka::scsi {

/// The file beside a disk that has the protection information of its blocks, and how the disk is formatted. First a
/// header, big-endian: magic, version, type and layout, block length, count of blocks, check. Then the map of
/// DirtyRegions. Then eight bytes a block, inverted: so a hole, or a file that has grown, is the information of blocks
/// that nobody has written. Everything on the volumes' reactor.
class ProtectionStore {
public:
    static constexpr std::uint64_t kHeaderBytes = 4096, kInformationAt = kHeaderBytes + DirtyRegions::kMapBytes;
    [[nodiscard]] static std::uint64_t file_bytes(std::uint64_t block_count);

    /// @param file outlives this.  @param type what a new file is made for.
    ProtectionStore(storage::BlockDevice& file, std::uint32_t block_bytes, std::uint64_t block_count,
                    ProtectionType type);

    [[nodiscard]] ProtectionType type() const { return type_; }
    [[nodiscard]] storage::BlockDevice& file() const { return file_; }

    /// Reads the header. Once, before the rest. @return kIoError also when the file is too small, another disk's, or
    /// no such file at all.
    Step<storage::BlockStatus> open();
    /// How many blocks the file was for when it was used last; the disk may have grown since. 0: a new one.
    [[nodiscard]] std::uint64_t known_blocks() const { return known_blocks_; }
    [[nodiscard]] DirtyRegions& regions() { return regions_; }
    /// For a disk of so many blocks.
    [[nodiscard]] std::uint64_t region_blocks(std::uint64_t blocks) const {
        return DirtyRegions::region_bytes(blocks * block_bytes_) / block_bytes_;
    }
    /// Writes the header; stable when it returns. @param layout what the user of the file notes beside the type.
    Step<storage::BlockStatus> set_type(ProtectionType type, std::uint8_t layout = 0);
    [[nodiscard]] std::uint8_t layout() const { return layout_; }

    /// Blocks whose information can only be written together: who writes keeps others that write off whole groups.
    [[nodiscard]] BlockRange whole_groups(const BlockRange& range) const;

    /// @param information eight bytes for each block.
    Step<storage::BlockStatus> read(BlockRange range, std::span<std::uint8_t> information);
    Step<storage::BlockStatus> write(BlockRange range, std::span<const std::uint8_t> information, bool stable);
    /// To that of blocks that nobody has written.
    Step<storage::BlockStatus> reset(BlockRange range, bool stable);
    Step<storage::BlockStatus> flush();

    /// What `write` would write to the file, for somebody else to do it.
    struct Image {
        std::uint64_t offset_bytes = 0;
        std::vector<std::uint8_t> bytes;
    };
    Step<storage::BlockStatus> prepare(BlockRange range, std::span<const std::uint8_t> information, Image& image);

private:
    [[nodiscard]] std::uint64_t group_blocks() const;
    Step<storage::BlockStatus> transfer(storage::BlockOperation operation, std::uint64_t offset_bytes,
                                        std::span<std::uint8_t> bytes, bool stable);

    storage::BlockDevice& file_;
    std::uint32_t block_bytes_;
    std::uint64_t block_count_;
    ProtectionType type_;
    std::uint8_t layout_ = 0;
    std::uint64_t known_blocks_ = 0;
    DirtyRegions regions_;
};

} // namespace touka::scsi
