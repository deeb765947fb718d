// Block device. (Virtual I/O Device 1.2 §5.2)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/virtio/virtio.hpp"

namespace touka::spec::virtio {

/// §5.2.3: Feature bits.
inline constexpr std::uint64_t VIRTIO_BLK_F_SEG_MAX = feature(2), VIRTIO_BLK_F_RO = feature(5),
                               VIRTIO_BLK_F_BLK_SIZE = feature(6), VIRTIO_BLK_F_FLUSH = feature(9),
                               VIRTIO_BLK_F_TOPOLOGY = feature(10), VIRTIO_BLK_F_MQ = feature(12),
                               VIRTIO_BLK_F_DISCARD = feature(13), VIRTIO_BLK_F_WRITE_ZEROES = feature(14);

/// §5.2.4: struct virtio_blk_config; fields of features that are not offered are zero.
struct [[gnu::packed]] BlockConfig {
    std::uint64_t capacity; ///< in sectors of 512 bytes
    std::uint32_t size_max;
    std::uint32_t seg_max;
    std::uint16_t cylinders;
    std::uint8_t heads;
    std::uint8_t sectors;
    std::uint32_t blk_size;
    std::uint8_t physical_block_exp;
    std::uint8_t alignment_offset;
    std::uint16_t min_io_size;
    std::uint32_t opt_io_size;
    std::uint8_t writeback;
    std::uint8_t unused0;
    std::uint16_t num_queues;
    std::uint32_t max_discard_sectors;
    std::uint32_t max_discard_seg;
    std::uint32_t discard_sector_alignment;
    std::uint32_t max_write_zeroes_sectors;
    std::uint32_t max_write_zeroes_seg;
    std::uint8_t write_zeroes_may_unmap;
    std::uint8_t unused1[3];
};
static_assert(sizeof(BlockConfig) == 60 && offsetof(BlockConfig, num_queues) == 34);

/// §5.2.6: struct virtio_blk_req: this header, the data, one byte of status.
struct BlockRequestHeader {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t sector;
};
static_assert(sizeof(BlockRequestHeader) == 16);
inline constexpr std::uint32_t VIRTIO_BLK_T_IN = 0, VIRTIO_BLK_T_OUT = 1, VIRTIO_BLK_T_FLUSH = 4,
                               VIRTIO_BLK_T_GET_ID = 8, VIRTIO_BLK_T_DISCARD = 11, VIRTIO_BLK_T_WRITE_ZEROES = 13;
inline constexpr std::uint8_t VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2;
inline constexpr std::uint32_t kBlockSectorBytes = 512, kBlockIdBytes = 20;

/// §5.2.6: struct virtio_blk_discard_write_zeroes.
struct BlockRange {
    std::uint64_t sector;
    std::uint32_t num_sectors;
    std::uint32_t flags;
};
static_assert(sizeof(BlockRange) == 16);
inline constexpr std::uint32_t kBlockRangeUnmap = 1;

} // namespace touka::spec::virtio
