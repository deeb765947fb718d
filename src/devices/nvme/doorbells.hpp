#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace touka::devices::nvme {

/// The doorbell registers as words in memory, and which of them were written. (NVMe over PCIe Transport 1.0 §3.1.2)
/// The words are somebody else's, so that they may be a page that the driver maps: writes there are seen by looking.
class Doorbells {
public:
    /// @param words 2 for each pair of queues: SQ 0 tail, CQ 0 head, SQ 1 tail, ... They outlive this.
    explicit Doorbells(std::span<std::uint32_t> words)
        : words_(words), rung_words_((words.size() + 63) / 64),
          rung_(std::make_unique<std::atomic<std::uint64_t>[]>(rung_words_)), seen_(words.size()) {}
    /// Other words, as many. @pre nobody rings meanwhile.
    void move_to(std::span<std::uint32_t> words) {
        words_ = words;
        clear();
    }

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
    /// Looks at the first `count` words, and calls on_changed(index) for each that is another one than at the last
    /// look. That misses no write: a queue's index cannot come back to where it was while nobody looks. One thread.
    /// @return whether there was any.
    bool take_changed(std::size_t count, auto on_changed) {
        bool any = false;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t now = word(i).load(std::memory_order_acquire);
            if (now == seen_[i]) continue;
            seen_[i] = now;
            any = true;
            on_changed(i);
        }
        return any;
    }
    void clear() {
        for (std::size_t i = 0; i < words_.size(); ++i) set(i, 0);
        for (std::size_t i = 0; i < rung_words_; ++i) rung_[i].store(0, std::memory_order_relaxed);
    }
    /// As if it had been written and seen.
    void set(std::size_t index, std::uint32_t value) {
        word(index).store(value, std::memory_order_relaxed);
        seen_[index] = value;
    }

private:
    [[nodiscard]] std::atomic_ref<std::uint32_t> word(std::size_t index) const {
        return std::atomic_ref(words_[index]);
    }

    std::span<std::uint32_t> words_;
    std::size_t rung_words_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> rung_;
    std::vector<std::uint32_t> seen_;
};

} // namespace touka::devices::nvme
