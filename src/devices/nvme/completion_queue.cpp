#include "devices/nvme/completion_queue.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace touka::devices::nvme {

using namespace spec::nvme;
using memory::DmaAccess;
using memory::Iova;

bool CompletionQueue::set_head(std::uint32_t head) {
    if (head >= setup_.size) return false;
    const auto distance = [this](std::uint32_t from, std::uint32_t to) {
        return to >= from ? to - from : to + setup_.size - from;
    };
    if (distance(head_, head) > distance(head_, tail_)) return false;
    head_ = head;
    return true;
}

CompletionQueue::Posted CompletionQueue::post(memory::DmaSpace& dma, const CompletionEntry& entry) {
    if (full() || !held_back_.empty()) {
        held_back_.push_back(entry);
        return Posted::kHeldBack;
    }
    return store(dma, entry);
}

CompletionQueue::Posted CompletionQueue::flush(memory::DmaSpace& dma) {
    Posted result = Posted::kHeldBack;
    while (!held_back_.empty() && !full()) {
        result = store(dma, held_back_.front());
        held_back_.pop_front();
        if (result == Posted::kFault) break;
    }
    return result;
}

CompletionQueue::Posted CompletionQueue::store(memory::DmaSpace& dma, CompletionEntry entry) {
    entry.status_phase = static_cast<std::uint16_t>((entry.status_phase & ~1u) | (phase_ ? 1u : 0u));
    const auto use = dma.use();
    const Iova at{setup_.base + (std::uint64_t{tail_} << kCompletionEntryShift)};
    const auto place = dma.translate(at, sizeof entry, DmaAccess::kWrite);
    if (!place || place->size() != sizeof entry) return Posted::kFault;
    // The driver polls the last word's phase tag: it appears after the rest.
    const auto words = std::bit_cast<std::array<std::uint32_t, 4>>(entry);
    std::memcpy(place->data(), words.data(), 12);
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(place->data() + 12)).store(words[3], std::memory_order_release);
    dma.written(*place);
    if (++tail_ == setup_.size) {
        tail_ = 0;
        phase_ = !phase_;
    }
    signalled = false;
    ++unsignalled;
    return Posted::kStored;
}

} // namespace touka::devices::nvme
