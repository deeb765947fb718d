#include "devices/virtio/virtqueue.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

#include "spec/virtio/virtio.hpp"

namespace touka::devices::virtio {

using namespace spec::virtio;
using memory::DmaAccess;
using memory::Iova;

namespace {

/// Buffers of the longest chain that any device here asks for: a SCSI command of 1024 segments with its request and
/// response. Of an indirect table, too, and not the queue's size: Linux lets a table be longer.
constexpr std::uint32_t kChainLimit = 1026;
constexpr std::uint32_t kDescriptorBytes = sizeof(Descriptor);

/// 64 MiB in pages that are no neighbours: twice what one command moves.
constexpr std::size_t kPieceLimit = 16'384;

std::atomic_ref<std::uint16_t> word(const RingPart& part, std::uint64_t offset) {
    return std::atomic_ref<std::uint16_t>(*reinterpret_cast<std::uint16_t*>(part.at(offset)));
}

/// A copy that the compiler may not replace by looking at the guest's memory a second time.
template <class T>
T copy_once(const std::byte* from) {
    T copy;
    std::memcpy(&copy, from, sizeof copy);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return copy;
}

/// The table that a chain is walked in: the queue's own, or an indirect one.
struct Table {
    const RingPart* ring = nullptr;  // the queue's own
    const std::byte* host = nullptr; // an indirect one in one piece; of several it is read through the DMA space
    Iova address;
    std::uint32_t length = 0;
};

std::expected<Table, QueueError> indirect_table(memory::DmaSpace& dma, Iova address, std::uint32_t length) {
    const std::uint64_t bytes = std::uint64_t{length} * kDescriptorBytes;
    const auto memory = dma.translate(address, bytes, DmaAccess::kRead);
    if (!memory) return std::unexpected(QueueError::kBufferOutsideMemory);
    return Table{nullptr, memory->size() == bytes ? memory->data() : nullptr, address, length};
}

std::expected<Descriptor, QueueError> read_descriptor(memory::DmaSpace& dma, const Table& table, std::uint32_t index) {
    const std::uint64_t offset = std::uint64_t{index} * kDescriptorBytes;
    if (table.ring != nullptr) return copy_once<Descriptor>(table.ring->at(offset));
    if (table.host != nullptr) return copy_once<Descriptor>(table.host + offset);
    Descriptor descriptor;
    const auto read = dma.read(table.address + offset, std::as_writable_bytes(std::span(&descriptor, 1)));
    if (!read) return std::unexpected(QueueError::kBufferOutsideMemory);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return descriptor;
}

} // namespace

std::unexpected<QueueError> Virtqueue::fail(QueueError error) {
    running_ = false;
    return std::unexpected(error);
}

std::expected<void, QueueError> Virtqueue::start(const QueueSetup& setup, std::uint64_t features,
                                                 const QueuePosition& position) {
    running_ = polled_ = false;
    if (!std::has_single_bit(setup.size) || setup.size > size_limit_) return fail(QueueError::kBadSize);
    setup_ = setup;
    event_index_ = (features & VIRTIO_F_EVENT_IDX) != 0;
    indirect_ = (features & VIRTIO_F_INDIRECT_DESC) != 0;
    next_avail_ = position.next_avail;
    next_used_ = published_used_ = position.next_used;
    in_flight_ = 0;
    again_.clear();
    journal_ = nullptr;
    broken_.reset();
    const auto use = dma_.use();
    if (const auto mapped = map_rings(); !mapped) return fail(mapped.error());
    running_ = true;
    return {};
}

void Virtqueue::resume(std::vector<std::uint16_t> heads, ChainJournal& journal) {
    again_ = std::move(heads);
    std::ranges::reverse(again_);
    journal_ = &journal;
}

void Virtqueue::stop() { running_ = false; }

std::expected<void, QueueError> Virtqueue::map_part(RingPart& part, Iova address, std::uint64_t length_bytes,
                                                    std::uint64_t alignment, DmaAccess access) {
    if (address.value % alignment != 0) return std::unexpected(QueueError::kMisaligned);
    if (!part.map(dma_, address, length_bytes, access)) return std::unexpected(QueueError::kRingOutsideMemory);
    return {};
}

std::expected<void, QueueError> Virtqueue::map_rings() {
    generation_ = dma_.generation(); // first: what is taken away meanwhile shows as another one
    const std::uint16_t size = setup_.size;
    const auto descriptors = map_part(descriptors_, setup_.descriptors, descriptor_table_bytes(size),
                                      kDescriptorAlignment, DmaAccess::kRead);
    if (!descriptors) return descriptors;
    const auto avail = map_part(avail_, setup_.driver_area, avail_ring_bytes(size), kAvailAlignment, DmaAccess::kRead);
    if (!avail) return avail;
    return map_part(used_, setup_.device_area, used_ring_bytes(size), kUsedAlignment, DmaAccess::kWrite);
}

bool Virtqueue::map_rings_again() {
    if (broken_) return false;
    if (const auto mapped = map_rings(); !mapped) broken_ = mapped.error();
    return !broken_;
}

std::uint16_t Virtqueue::load_avail_index() {
    const auto used_now = use();
    // Sequentially consistent, as enable_notifications, after which this is the look that finds what came meanwhile.
    return rings_ready() ? word(avail_, kAvailIndexOffset).load(std::memory_order_seq_cst) : next_avail_;
}

std::expected<bool, QueueError> Virtqueue::pop(DescriptorChain& chain) {
    if (!running_) return false;
    const auto used_now = use(); // before anything is looked up
    if (!rings_ready()) return fail(*broken_);
    chain.hold_.end(); // a chain that was dropped, not returned
    const auto taken = take(chain);
    if (taken && *taken) {
        dma_.hold(chain.hold_);
    } else {
        chain.hold_.end();
    }
    return taken;
}

std::expected<bool, QueueError> Virtqueue::take(DescriptorChain& chain) {
    if (!again_.empty()) {
        const std::uint16_t head = again_.back();
        again_.pop_back();
        if (const auto walked = walk(head, chain); !walked) return fail(walked.error());
        ++in_flight_;
        return true;
    }
    const std::uint16_t index = word(avail_, kAvailIndexOffset).load(std::memory_order_acquire);
    const auto available = static_cast<std::uint16_t>(index - next_avail_);
    if (available == 0) return false;
    if (available > setup_.size) return fail(QueueError::kIndexJump);
    if (in_flight_ >= setup_.size) return fail(QueueError::kTooManyInFlight);
    const std::uint64_t slot = next_avail_ % setup_.size;
    const std::uint16_t head = word(avail_, kAvailRingOffset + 2 * slot).load(std::memory_order_relaxed);
    if (const auto walked = walk(head, chain); !walked) return fail(walked.error());
    if (journal_ != nullptr) journal_->taken(head);
    ++next_avail_;
    ++in_flight_;
    return true;
}

void Virtqueue::undo_pop(std::span<DescriptorChain> chains) {
    for (DescriptorChain& chain : chains) chain.hold_.end();
    next_avail_ = static_cast<std::uint16_t>(next_avail_ - chains.size());
    in_flight_ = static_cast<std::uint16_t>(in_flight_ - chains.size());
}

std::expected<void, QueueError> Virtqueue::walk(std::uint16_t head, DescriptorChain& chain) {
    chain.clear(head);
    Table table{&descriptors_, nullptr, setup_.descriptors, setup_.size};
    std::uint32_t index = head, buffers = 0;
    for (std::uint32_t seen = 0;; ++seen) {
        if (index >= table.length) return std::unexpected(QueueError::kDescriptorOutOfTable);
        if (seen >= table.length) return std::unexpected(QueueError::kLoop);
        const auto descriptor = read_descriptor(dma_, table, index);
        if (!descriptor) return std::unexpected(descriptor.error());
        const bool has_next = (descriptor->flags & VIRTQ_DESC_F_NEXT) != 0;
        if ((descriptor->flags & VIRTQ_DESC_F_INDIRECT) != 0) {
            const std::uint32_t length = descriptor->len / kDescriptorBytes;
            const bool whole = descriptor->len % kDescriptorBytes == 0 && length > 0 && length <= kChainLimit;
            if (!indirect_ || !table.ring || has_next || !whole) return std::unexpected(QueueError::kBadIndirect);
            const auto indirect = indirect_table(dma_, Iova{descriptor->addr}, length);
            if (!indirect) return std::unexpected(indirect.error());
            table = *indirect;
            index = 0;
            seen = ~std::uint32_t{0}; // the count starts again with the new table
            continue;
        }
        if (++buffers > kChainLimit) return std::unexpected(QueueError::kLoop);
        if (const auto added = add_buffer(*descriptor, chain); !added) return added;
        if (!has_next) return {};
        index = descriptor->next;
    }
}

std::expected<void, QueueError> Virtqueue::add_buffer(const Descriptor& descriptor, DescriptorChain& chain) {
    const bool writable = (descriptor.flags & VIRTQ_DESC_F_WRITE) != 0;
    if (!writable && !chain.writable_.list.empty()) return std::unexpected(QueueError::kReadableAfterWritable);
    DescriptorChain::Part& part = writable ? chain.writable_ : chain.readable_;
    Iova address{descriptor.addr};
    for (std::uint64_t left = descriptor.len; left > 0;) {
        const DmaAccess access = writable ? DmaAccess::kWrite : DmaAccess::kRead;
        const auto memory = dma_.translate(address, left, access);
        if (!memory) return std::unexpected(QueueError::kBufferOutsideMemory);
        // Behind an IOMMU pages may be mapped again and again: what is kept of them is the host's memory.
        if (part.list.size() >= kPieceLimit) return std::unexpected(QueueError::kTooScattered);
        part.add(*memory);
        chain.hold_.add({address, *memory, access});
        address = address + memory->size();
        left -= memory->size();
    }
    return {};
}

void Virtqueue::push_used(DescriptorChain& chain, std::uint32_t written_bytes) {
    chain.hold_.end();
    if (in_flight_ > 0) --in_flight_;
    if (!running_) return;
    const auto used_now = use();
    if (!rings_ready()) return;
    const std::uint32_t head = chain.head();
    const std::uint64_t element = kUsedRingOffset + next_used_ % setup_.size * sizeof(UsedElement);
    // By words: an element may lie on two pages.
    std::memcpy(used_.at(element + offsetof(UsedElement, id)), &head, sizeof head);
    std::memcpy(used_.at(element + offsetof(UsedElement, len)), &written_bytes, sizeof written_bytes);
    ++next_used_;
    if (journal_ != nullptr) journal_->returned(chain.head());
}

bool Virtqueue::publish() {
    if (!running_ || next_used_ == published_used_) return false;
    const auto used_now = use();
    if (!rings_ready()) return false;
    const std::uint16_t before = published_used_;
    word(used_, kUsedIndexOffset).store(next_used_, std::memory_order_seq_cst);
    published_used_ = next_used_;
    if (journal_ != nullptr) journal_->published(next_used_);
    mark_used(0, kUsedRingOffset);
    mark_elements(before);
    if (!event_index_) {
        return (word(avail_, 0).load(std::memory_order_seq_cst) & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
    }
    const std::uint64_t used_event = kAvailRingOffset + 2ull * setup_.size;
    return event_passed(word(avail_, used_event).load(std::memory_order_seq_cst), next_used_, before);
}

void Virtqueue::disable_notifications() {
    if (!running_ || event_index_) return; // an old avail_event is passed already: the driver stays quiet
    const auto used_now = use();
    if (!rings_ready()) return;
    word(used_, 0).store(VIRTQ_USED_F_NO_NOTIFY, std::memory_order_relaxed);
    mark_used(0, kUsedRingOffset);
}

bool Virtqueue::enable_notifications() {
    if (!running_) return false;
    const auto used_now = use();
    if (!rings_ready()) return true; // the next look finds out
    if (event_index_) {
        const std::uint64_t avail_event = kUsedRingOffset + sizeof(UsedElement) * setup_.size;
        word(used_, avail_event).store(next_avail_, std::memory_order_seq_cst);
        mark_used(avail_event, sizeof(std::uint16_t));
    } else {
        word(used_, 0).store(0, std::memory_order_seq_cst);
        mark_used(0, kUsedRingOffset);
    }
    return word(avail_, kAvailIndexOffset).load(std::memory_order_seq_cst) != next_avail_;
}

void Virtqueue::mark_used(std::uint64_t offset, std::uint64_t length_bytes) {
    used_.written(dma_, offset, length_bytes);
}

void Virtqueue::mark_elements(std::uint16_t from) {
    constexpr std::uint64_t kBytes = sizeof(UsedElement);
    const std::uint64_t first = from % setup_.size;
    // A driver that offers descriptors again which it has not got back can have more returned than the ring holds.
    const std::uint64_t count = std::min(static_cast<std::uint16_t>(next_used_ - from), setup_.size);
    const std::uint64_t to_end = std::min(count, setup_.size - first);
    mark_used(kUsedRingOffset + first * kBytes, to_end * kBytes);
    if (to_end < count) mark_used(kUsedRingOffset, (count - to_end) * kBytes);
}

} // namespace touka::devices::virtio
