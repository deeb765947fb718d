#pragma once

#include <cstdint>
#include <vector>

#include "scsi/disk/protection.hpp"
#include "scsi/disk/protection_store.hpp"
#include "scsi/disk/step.hpp"
#include "storage/block_device.hpp"

namespace touka::scsi {

/// Blocks of a volume and their protection information in a file beside it, moved together. Who uses it keeps commands
/// apart: those that write have their blocks to themselves, in whole groups of the store. Where a crash came between
/// the two, the next open() finds blocks whose guard is wrong and makes their information that of blocks that nobody
/// has written, so that they can be read, as from a disk without protection. On the volumes' reactor; a caller
/// moves kChunkBytes at a time at most. (SBC-4 §4.21)
class ProtectedMedium {
public:
    static constexpr std::uint64_t kChunkBytes = 1 << 20;

    /// @param volume, file outlive this.  @param type of a new file.
    ProtectedMedium(storage::BlockDevice& volume, storage::BlockDevice& file, std::uint32_t block_bytes,
                    std::uint64_t block_count, ProtectionType type)
        : volume_(volume), store_(file, block_bytes, block_count, type), block_bytes_(block_bytes),
          block_count_(block_count) {}

    [[nodiscard]] ProtectionStore& store() { return store_; }
    [[nodiscard]] const ProtectionStore& store() const { return store_; }
    [[nodiscard]] ProtectionType type() const { return store_.type(); }
    [[nodiscard]] std::uint32_t block_bytes() const { return block_bytes_; }
    [[nodiscard]] std::uint64_t block_count() const { return block_count_; }
    [[nodiscard]] std::uint64_t chunk_blocks() const { return kChunkBytes / block_bytes_; }

    /// Blocks and their information, in memory.
    struct Blocks {
        std::vector<std::uint8_t> data, information;
    };
    void resize(Blocks& blocks, std::uint64_t count) const;

    /// Once, before everything else: the file's header, and what a crash left. @return as ProtectionStore::open.
    Step<storage::BlockStatus> open(bool read_only);
    Step<storage::BlockStatus> read(BlockRange range, Blocks& blocks);
    Step<storage::BlockStatus> write(BlockRange range, const Blocks& blocks, bool stable);
    /// Zeros, and information of blocks that nobody has written.
    Step<storage::BlockStatus> write_unwritten(BlockRange range, bool stable, bool may_unmap);
    /// The volume and the file.
    Step<storage::BlockStatus> flush();

private:
    [[nodiscard]] std::uint64_t bytes(std::uint64_t blocks) const { return blocks * block_bytes_; }
    Step<storage::BlockStatus> repair();
    Step<storage::BlockStatus> repair_chunk(BlockRange range);

    storage::BlockDevice& volume_;
    ProtectionStore store_;
    std::uint32_t block_bytes_;
    std::uint64_t block_count_;
};

} // namespace touka::scsi
