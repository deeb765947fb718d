#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "spec/address.hpp"

namespace touka::devices::passthrough {

/// Which pages of one granted region the device has written since somebody last asked. Any thread.
class DirtyPages {
public:
    explicit DirtyPages(std::uint64_t length_bytes)
        : page_count_((length_bytes + spec::kPageSize - 1) / spec::kPageSize),
          words_(std::make_unique<std::atomic<std::uint64_t>[]>((page_count_ + 63) / 64)) {}

    /// @param offset, length_bytes a part of the region, not empty.
    void mark(std::uint64_t offset, std::uint64_t length_bytes) {
        const std::uint64_t last = (offset + length_bytes - 1) / spec::kPageSize;
        for (std::uint64_t page = offset / spec::kPageSize; page <= last && page < page_count_; ++page) {
            words_[page / 64].fetch_or(std::uint64_t{1} << page % 64, std::memory_order_release);
        }
    }
    /// Takes the bits of a part away and calls `on_dirty` with the offset of each page that had one.
    template <class OnDirty>
    void take(std::uint64_t offset, std::uint64_t length_bytes, OnDirty on_dirty) {
        if (length_bytes == 0) return;
        const std::uint64_t first = offset / spec::kPageSize;
        const std::uint64_t last = std::min(page_count_ - 1, (offset + length_bytes - 1) / spec::kPageSize);
        for (std::uint64_t word = first / 64; word <= last / 64; ++word) {
            std::uint64_t mask = ~std::uint64_t{0};
            if (word == first / 64) mask &= ~std::uint64_t{0} << first % 64;
            if (word == last / 64) mask &= ~std::uint64_t{0} >> (63 - last % 64);
            if ((words_[word].load(std::memory_order_relaxed) & mask) == 0) continue;
            std::uint64_t bits = words_[word].fetch_and(~mask, std::memory_order_acquire) & mask;
            for (; bits != 0; bits &= bits - 1) {
                on_dirty((word * 64 + static_cast<unsigned>(std::countr_zero(bits))) * spec::kPageSize);
            }
        }
    }

private:
    std::uint64_t page_count_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

} // namespace touka::devices::passthrough
