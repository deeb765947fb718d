// Split virtqueues, in little-endian guest memory. (Virtual I/O Device 1.2 §2.7)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::virtio {

/// §2.7.5: struct virtq_desc.
struct Descriptor {
    std::uint64_t addr;
    std::uint32_t len;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16 && offsetof(Descriptor, flags) == 12);
inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4;

/// §2.7.6: struct virtq_avail: flags, idx, ring[size], used_event.
inline constexpr std::uint64_t kAvailIndexOffset = 2, kAvailRingOffset = 4;
inline constexpr std::uint16_t VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

/// §2.7.8: struct virtq_used: flags, idx, ring[size] of struct virtq_used_elem, avail_event.
struct UsedElement {
    std::uint32_t id;
    std::uint32_t len;
};
static_assert(sizeof(UsedElement) == 8);
inline constexpr std::uint64_t kUsedIndexOffset = 2, kUsedRingOffset = 4;
inline constexpr std::uint16_t VIRTQ_USED_F_NO_NOTIFY = 1;

/// §2.7: sizes of the three parts, with the two event words at their ends, and their alignments.
constexpr std::uint64_t descriptor_table_bytes(std::uint16_t size) { return 16ull * size; }
constexpr std::uint64_t avail_ring_bytes(std::uint16_t size) { return 6 + 2ull * size; }
constexpr std::uint64_t used_ring_bytes(std::uint16_t size) { return 6 + 8ull * size; }
inline constexpr std::uint64_t kDescriptorAlignment = 16, kAvailAlignment = 2, kUsedAlignment = 4;
inline constexpr std::uint16_t kQueueSizeLimit = 32768;
static_assert(used_ring_bytes(256) == 2054);

/// §2.7.10: whether moving an index from old_index to new_index passed the event the other side waits for.
constexpr bool event_passed(std::uint16_t event, std::uint16_t new_index, std::uint16_t old_index) {
    return static_cast<std::uint16_t>(new_index - event - 1) < static_cast<std::uint16_t>(new_index - old_index);
}
static_assert(event_passed(0xFFFF, 0, 0xFFFF) && !event_passed(5, 5, 4));

} // namespace touka::spec::virtio
