#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>

namespace touka::devices::nvme {

/// The doorbell registers as words in memory, and which of them were written. (NVMe over PCIe Transport 1.0 §3.1.2)
/// The words are somebody else's, so that they may be a page that the driver maps; who cannot see single writes there
/// rings all.
class Doorbells {
public:
    /// @param words 2 for each pair of queues: SQ 0 tail, CQ 0 head, SQ 1 tail, ... They outlive this.
    explicit Doorbells(std::span<std::uint32_t> words)
        : words_(words), rung_words_((words.size() + 63) / 64),
          rung_(std::make_unique<std::atomic<std::uint64_t>[]>(rung_words_)) {}

    [[nodiscard]] std::size_t count() const { return words_.size(); }
    /// A write of the driver. Any thread. @pre index < count().
    void ring(std::size_t index, std::uint32_t value) {
        word(index).store(value, std::memory_order_release);        // pairs with value()
        rung_[index / 64].fetch_or(std::uint64_t{1} << index % 64); // pairs with take(), which must not miss it
    }
    [[nodiscard]] std::uint32_t value(std::size_t index) const {
        return word(index).load(std::memory_order_acquire) & 0xFFFF;
    }
    /// Calls on_rung(index) for each that was written since the last time. One thread.
    void take(auto on_rung) {
        for (std::size_t i = 0; i < rung_words_; ++i) {
            if (rung_[i].load() == 0) continue;
            std::uint64_t bits = rung_[i].exchange(0);
            for (; bits != 0; bits &= bits - 1) on_rung(i * 64 + static_cast<unsigned>(std::countr_zero(bits)));
        }
    }
    void clear() {
        for (std::size_t i = 0; i < words_.size(); ++i) word(i).store(0, std::memory_order_relaxed);
        for (std::size_t i = 0; i < rung_words_; ++i) rung_[i].store(0, std::memory_order_relaxed);
    }
    void set(std::size_t index, std::uint32_t value) { word(index).store(value, std::memory_order_relaxed); }

private:
    [[nodiscard]] std::atomic_ref<std::uint32_t> word(std::size_t index) const {
        return std::atomic_ref(words_[index]);
    }

    std::span<std::uint32_t> words_;
    std::size_t rung_words_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> rung_;
};

} // namespace touka::devices::nvme
