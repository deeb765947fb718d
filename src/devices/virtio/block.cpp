#include "devices/virtio/block.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "spec/pci/config_header.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using storage::BlockOperation;
using storage::BlockStatus;

namespace {

constexpr std::uint32_t kRangeSectorLimit = std::numeric_limits<std::uint32_t>::max() / kBlockSectorBytes;

bool writes(std::uint32_t type) {
    return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
}

BlockConfig make_config(const storage::BlockGeometry& geometry, std::uint16_t queue_count) {
    BlockConfig config{};
    config.capacity = geometry.size_bytes / kBlockSectorBytes;
    config.seg_max = Block::kSegmentLimit;
    config.blk_size = geometry.logical_block_bytes;
    const std::uint32_t blocks_per_physical =
        std::max(1u, geometry.physical_block_bytes / std::max(1u, geometry.logical_block_bytes));
    config.physical_block_exp = static_cast<std::uint8_t>(std::bit_width(blocks_per_physical) - 1);
    config.min_io_size = static_cast<std::uint16_t>(std::min(blocks_per_physical, 0xFFFFu));
    config.num_queues = queue_count;
    if (geometry.discard_granularity_bytes > 0) {
        config.max_discard_sectors = kRangeSectorLimit;
        config.max_discard_seg = 1;
        config.discard_sector_alignment = std::max(1u, geometry.discard_granularity_bytes / kBlockSectorBytes);
        config.write_zeroes_may_unmap = 1;
    }
    config.max_write_zeroes_sectors = kRangeSectorLimit;
    config.max_write_zeroes_seg = 1;
    return config;
}

} // namespace

/// One request from pop to push: the chain, and the volume's request that points into it.
struct Block::Slot {
    unsigned queue_index = 0;
    DescriptorChain chain;
    std::byte* status = nullptr; // in guest memory
    storage::BlockRequest request;
};

std::uint8_t block_status(BlockStatus status) {
    switch (status) {
        case BlockStatus::kOk: return VIRTIO_BLK_S_OK;
        case BlockStatus::kUnsupported: return VIRTIO_BLK_S_UNSUPP;
        case BlockStatus::kIoError:
        case BlockStatus::kNoSpace:
        case BlockStatus::kOutOfRange:
        case BlockStatus::kReadOnly: return VIRTIO_BLK_S_IOERR;
    }
    return VIRTIO_BLK_S_IOERR;
}

Block::Block(storage::BlockDevice& volume, const BlockConfiguration& configuration)
    : volume_(volume), serial_(configuration.serial.substr(0, kBlockIdBytes)),
      config_(make_config(volume.geometry(), std::max<std::uint16_t>(1, configuration.queue_count))),
      queues_(config_.num_queues) {
    for (unsigned index = 0; index < queues_.size(); ++index) {
        Queue& queue = queues_[index];
        for (unsigned i = 0; i < kQueueSize + 1u; ++i) {
            Slot& slot = *queue.slots.emplace_back(std::make_unique<Slot>());
            slot.queue_index = index;
            slot.request.complete = [this, &slot](BlockStatus status) {
                const bool read = slot.request.operation == BlockOperation::kRead && status == BlockStatus::kOk;
                const std::uint64_t written = read ? slot.request.length_bytes : 0;
                slot.chain.written(transport_->dma(), written);
                complete(slot, block_status(status), written);
            };
            queue.free.push_back(&slot);
        }
    }
}

Block::~Block() = default;

std::uint32_t Block::pci_class_code() const { return spec::pci::class_code::kScsiStorage; }

std::uint64_t Block::device_features() const {
    std::uint64_t features = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY;
    if (queues_.size() > 1) features |= VIRTIO_BLK_F_MQ;
    if (volume_.geometry().read_only) return features | VIRTIO_BLK_F_RO;
    if (volume_.geometry().discard_granularity_bytes > 0) features |= VIRTIO_BLK_F_DISCARD;
    return features | VIRTIO_BLK_F_WRITE_ZEROES;
}

std::vector<std::uint16_t> Block::queue_sizes() const { return std::vector<std::uint16_t>(queues_.size(), kQueueSize); }

void Block::read_config(std::uint32_t offset, std::span<std::byte> to) const { copy_config(config_, offset, to); }

void Block::activate(std::uint64_t features) { write_through_ = (features & VIRTIO_BLK_F_FLUSH) == 0; }

bool Block::process_queue(unsigned index) {
    Queue& queue = queues_.at(index);
    processing_ = index;
    const auto more = transport_->queue(index).consume_in_batches(
        kTurnBudget, [&queue]() -> DescriptorChain& { return queue.free.back()->chain; },
        [this, &queue](DescriptorChain&) {
            Slot& slot = *queue.free.back();
            queue.free.pop_back();
            handle(slot);
        },
        [this, index] {
            volume_.commit();
            transport_->publish(index);
        });
    processing_.reset();
    if (!more) transport_->fail(more.error());
    return more.value_or(false);
}

void Block::handle(Slot& slot) {
    ++in_flight_;
    BlockRequestHeader header{};
    const bool framed = slot.chain.take(std::as_writable_bytes(std::span(&header, 1)));
    slot.status = slot.chain.take_last_writable();
    // Without a status byte nobody can be told anything: the chain just comes back.
    if (!slot.status || !framed) return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    if (writes(header.type) && volume_.geometry().read_only) return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    switch (header.type) {
        case VIRTIO_BLK_T_IN: return handle_transfer(slot, BlockOperation::kRead, header.sector);
        case VIRTIO_BLK_T_OUT: return handle_transfer(slot, BlockOperation::kWrite, header.sector);
        case VIRTIO_BLK_T_FLUSH:
            slot.request.operation = BlockOperation::kFlush;
            slot.request.offset_bytes = slot.request.length_bytes = 0;
            slot.request.buffers = {};
            return submit(slot);
        case VIRTIO_BLK_T_DISCARD: return handle_range(slot, BlockOperation::kDiscard);
        case VIRTIO_BLK_T_WRITE_ZEROES: return handle_range(slot, BlockOperation::kWriteZeroes);
        case VIRTIO_BLK_T_GET_ID: return handle_identity(slot);
        default: return complete(slot, VIRTIO_BLK_S_UNSUPP, 0);
    }
}

void Block::handle_transfer(Slot& slot, BlockOperation operation, std::uint64_t sector) {
    const bool read = operation == BlockOperation::kRead;
    const std::uint64_t length_bytes = read ? slot.chain.writable_bytes() : slot.chain.readable_bytes();
    const std::uint64_t foreign_bytes = read ? slot.chain.readable_bytes() : slot.chain.writable_bytes();
    const bool in_range = sector <= config_.capacity && length_bytes / kBlockSectorBytes <= config_.capacity - sector;
    if (length_bytes % kBlockSectorBytes != 0 || foreign_bytes != 0 || !in_range) {
        return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    }
    if (length_bytes == 0) return complete(slot, VIRTIO_BLK_S_OK, 0);
    slot.request.operation = operation;
    slot.request.offset_bytes = sector * kBlockSectorBytes;
    slot.request.length_bytes = length_bytes;
    slot.request.buffers = read ? slot.chain.writable() : slot.chain.readable();
    slot.request.force_unit_access = !read && write_through_;
    submit(slot);
}

void Block::handle_range(Slot& slot, BlockOperation operation) {
    BlockRange range{};
    if (slot.chain.readable_bytes() != sizeof range || slot.chain.writable_bytes() != 0) {
        return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    }
    (void)slot.chain.take(std::as_writable_bytes(std::span(&range, 1)));
    const bool discard = operation == BlockOperation::kDiscard;
    const std::uint32_t known_flags = discard ? 0 : kBlockRangeUnmap;
    if ((range.flags & ~known_flags) != 0 || (discard && config_.max_discard_seg == 0)) {
        return complete(slot, VIRTIO_BLK_S_UNSUPP, 0);
    }
    const bool in_range = range.sector <= config_.capacity && range.num_sectors <= config_.capacity - range.sector;
    if (!in_range || range.num_sectors > kRangeSectorLimit) return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    if (range.num_sectors == 0) return complete(slot, VIRTIO_BLK_S_OK, 0);
    slot.request.operation = operation;
    slot.request.offset_bytes = range.sector * kBlockSectorBytes;
    slot.request.length_bytes = std::uint64_t{range.num_sectors} * kBlockSectorBytes;
    slot.request.buffers = {};
    slot.request.force_unit_access = write_through_;
    slot.request.may_unmap = (range.flags & kBlockRangeUnmap) != 0;
    submit(slot);
}

void Block::handle_identity(Slot& slot) {
    if (slot.chain.writable_bytes() < kBlockIdBytes) return complete(slot, VIRTIO_BLK_S_IOERR, 0);
    std::string id = serial_;
    id.resize(kBlockIdBytes);
    const std::size_t written = slot.chain.put(transport_->dma(), std::as_bytes(std::span(id)));
    complete(slot, VIRTIO_BLK_S_OK, written);
}

void Block::submit(Slot& slot) { volume_.submit(slot.request); }

void Block::complete(Slot& slot, std::uint8_t status, std::uint64_t data_written_bytes) {
    std::uint64_t written = data_written_bytes;
    if (slot.status) {
        *slot.status = std::byte{status};
        transport_->dma().written({slot.status, 1});
        // Bytes count from the first writable one on: the status byte only when all before it was stored (§2.7.8).
        if (slot.chain.writable_bytes() == 0 || data_written_bytes == slot.chain.writable_bytes()) ++written;
    }
    transport_->queue(slot.queue_index).push_used(slot.chain, static_cast<std::uint32_t>(written));
    slot.status = nullptr;
    slot.request.force_unit_access = slot.request.may_unmap = false;
    queues_[slot.queue_index].free.push_back(&slot);
    --in_flight_;
    if (processing_ != slot.queue_index) transport_->publish(slot.queue_index);
    transport_->request_finished();
}

migration::Record Block::save() const { return migration::save_record({}, StatelessState{}); }

std::expected<void, migration::RestoreError> Block::restore(const migration::Record& record) {
    if (const auto state = migration::load_record<StatelessState>(record); !state) {
        return std::unexpected(state.error());
    }
    return {};
}

} // namespace touka::devices::virtio
