#include "request_ring.hpp"

#include <atomic>

#include "load.hpp"
#include "spec/scsi/operation.hpp"
#include "spec/virtio/block.hpp"
#include "spec/virtio/scsi.hpp"
#include "spec/virtio/split_queue.hpp"

namespace touka::bench {

using namespace spec::virtio;

namespace {

constexpr std::uint64_t kTables = 0x3000, kHeaders = 0x8000, kData = 0x2'0000;
constexpr std::uint64_t kTableBytes = 64, kHeaderBytes = 256, kResponseOffset = 128;
static_assert(kTables + RequestRing::kSize * kTableBytes <= kHeaders);
static_assert(kHeaders + RequestRing::kSize * kHeaderBytes <= kData);
static_assert(kData + RequestRing::kSize * kReadBytes <= RequestRing::kMemoryBytes);

constexpr std::uint64_t kUsedEvent = RequestRing::kAvailable + kAvailRingOffset + 2 * RequestRing::kSize;
constexpr std::uint64_t kAvailEvent = RequestRing::kUsed + kUsedRingOffset + 8 * RequestRing::kSize;

constexpr std::uint64_t header_of(std::uint16_t place) { return kHeaders + place * kHeaderBytes; }
constexpr std::uint64_t response_of(std::uint16_t place) { return header_of(place) + kResponseOffset; }

struct [[gnu::packed]] ScsiRead {
    ScsiCommandHeader header;
    std::uint8_t cdb[kScsiDefaultCdbBytes];
};

} // namespace

RequestRing::RequestRing(std::span<std::byte> memory, RequestLayout layout) : memory_(memory), layout_(layout) {
    for (std::uint16_t place = 0; place < kSize; ++place) {
        const std::uint64_t table = kTables + place * kTableBytes;
        at<Descriptor>(kDescriptors + 16ull * place) = {table, 3 * sizeof(Descriptor), VIRTQ_DESC_F_INDIRECT, 0};
        auto* const descriptors = &at<Descriptor>(table);
        const std::uint64_t header = header_of(place), response = response_of(place), data = kData + place * kReadBytes;
        constexpr std::uint16_t kInto = VIRTQ_DESC_F_WRITE, kNext = VIRTQ_DESC_F_NEXT;
        if (layout == RequestLayout::kBlock) {
            descriptors[0] = {header, sizeof(BlockRequestHeader), kNext, 1};
            descriptors[1] = {data, kReadBytes, kInto | kNext, 2};
            descriptors[2] = {response, 1, kInto, 0};
        } else {
            descriptors[0] = {header, sizeof(ScsiRead), kNext, 1};
            descriptors[1] = {response, sizeof(ScsiCommandResponse) + kScsiDefaultSenseBytes, kInto | kNext, 2};
            descriptors[2] = {data, kReadBytes, kInto, 0};
        }
    }
}

void RequestRing::put(std::uint16_t place, std::uint64_t offset_bytes) {
    const std::uint64_t sector = offset_bytes / kBlockSectorBytes;
    if (layout_ == RequestLayout::kBlock) {
        at<BlockRequestHeader>(header_of(place)) = {VIRTIO_BLK_T_IN, 0, sector};
        at<std::uint8_t>(response_of(place)) = 0xFF;
    } else {
        auto& read = at<ScsiRead>(header_of(place));
        read = {};
        read.header.lun[0] = kScsiLunOfTarget;
        read.header.lun[2] = 0x40; // flat addressing, LUN 0 (SAM-5 §4.7.7.3)
        read.header.id = place;
        read.cdb[0] = spec::scsi::operation::kRead10;
        for (unsigned i = 0; i < 4; ++i) read.cdb[2 + i] = static_cast<std::uint8_t>(sector >> (24 - 8 * i));
        read.cdb[8] = kReadBytes / kBlockSectorBytes;
        at<ScsiCommandResponse>(response_of(place)).response = 0xFF;
    }
    at<std::uint16_t>(kAvailable + kAvailRingOffset + 2ull * (available_ % kSize)) = place;
    ++available_;
}

bool RequestRing::publish() {
    const std::uint16_t before = published_;
    if (before == available_) return false;
    published_ = available_;
    std::atomic_ref(at<std::uint16_t>(kAvailable + kAvailIndexOffset)).store(available_, std::memory_order_release);
    // The device sees the index, or this sees the event that it set before it looked. (§2.7.10)
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto event = std::atomic_ref(at<std::uint16_t>(kAvailEvent)).load(std::memory_order_relaxed);
    return event_passed(event, available_, before);
}

bool RequestRing::wait_for_used() {
    std::atomic_ref(at<std::uint16_t>(kUsedEvent)).store(taken_, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return used_index() == taken_;
}

std::uint16_t RequestRing::used_index() const {
    return std::atomic_ref(at<std::uint16_t>(kUsed + kUsedIndexOffset)).load(std::memory_order_acquire);
}

std::uint16_t RequestRing::used_place(std::uint16_t position) const {
    return static_cast<std::uint16_t>(at<UsedElement>(kUsed + kUsedRingOffset + 8ull * (position % kSize)).id % kSize);
}

bool RequestRing::good(std::uint16_t place) const {
    if (layout_ == RequestLayout::kBlock) return at<std::uint8_t>(response_of(place)) == VIRTIO_BLK_S_OK;
    const auto& response = at<ScsiCommandResponse>(response_of(place));
    return response.response == VIRTIO_SCSI_S_OK && response.status == 0;
}

} // namespace touka::bench
