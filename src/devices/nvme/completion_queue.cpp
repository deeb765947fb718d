#include "devices/nvme/completion_queue.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace touka::devices::nvme {

using namespace spec::nvme;
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
    const auto use = dma.use();
    return store(dma, entry);
}

CompletionQueue::Posted CompletionQueue::flush(memory::DmaSpace& dma) {
    Posted result = Posted::kHeldBack;
    if (held_back_.empty()) return result;
    const auto use = dma.use();
    auto next = held_back_.begin();
    while (next != held_back_.end() && !full()) {
        result = store(dma, *next++);
        if (result == Posted::kFault) break;
    }
    held_back_.erase(held_back_.begin(), next);
    return result;
}

CompletionQueue::Posted CompletionQueue::store(memory::DmaSpace& dma, CompletionEntry entry) {
    entry.status_phase = static_cast<std::uint16_t>((entry.status_phase & ~1u) | (phase_ ? 1u : 0u));
    const Iova base{setup_.base};
    const auto place = window_.at(dma, base + (std::uint64_t{tail_} << kCompletionEntryShift), sizeof entry,
                                  base + (std::uint64_t{setup_.size} << kCompletionEntryShift));
    if (place.size() != sizeof entry) return Posted::kFault;
    // The driver polls the last word's phase tag: it appears after the rest.
    const auto words = std::bit_cast<std::array<std::uint32_t, 4>>(entry);
    std::memcpy(place.data(), words.data(), 12);
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(place.data() + 12)).store(words[3], std::memory_order_release);
    dma.written(place);
    if (++tail_ == setup_.size) {
        tail_ = 0;
        phase_ = !phase_;
    }
    signalled = false;
    ++unsignalled;
    return Posted::kStored;
}

} // namespace touka::devices::nvme
