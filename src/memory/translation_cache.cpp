#include "memory/translation_cache.hpp"

namespace touka::memory {

void TranslationCache::fill(const Page& page) {
    const std::uint64_t permissions = (page.read ? kRead : 0) | (page.write ? kWrite : 0);
    if (page.shift == kSmallShift) {
        const std::uint64_t tag = page.address >> (kSmallShift + kSmallBits);
        const std::uint64_t word = tag << kSmallTagAt | page.guest >> kSmallShift << 2 | permissions;
        small_[page.address >> kSmallShift & kSmallMask].store(word, std::memory_order_release);
        return;
    }
    any_large_ = true;
    const std::uint64_t tag = page.address >> (kLargeShift + kLargeBits);
    const std::uint64_t word =
        tag << kLargeTagAt | page.guest >> kLargeShift << 3 | (page.huge ? kHuge : 0) | permissions;
    large_[page.address >> kLargeShift & kLargeMask].store(word, std::memory_order_release);
}

void TranslationCache::clear() {
    for (auto& word : small_) word.store(0, std::memory_order_relaxed);
    for (auto& word : large_) word.store(0, std::memory_order_relaxed);
    any_large_ = false;
}

void TranslationCache::clear_range(std::uint64_t first, std::uint64_t last) {
    const std::uint64_t first_page = first >> kSmallShift, last_page = last >> kSmallShift;
    if (last_page - first_page >= kSmallMask) {
        for (auto& word : small_) word.store(0, std::memory_order_relaxed);
    } else {
        for (std::uint64_t page = first_page; page <= last_page; ++page) {
            auto& word = small_[page & kSmallMask];
            if (word.load(std::memory_order_relaxed) >> kSmallTagAt == page >> kSmallBits)
                word.store(0, std::memory_order_relaxed);
        }
    }
    const std::uint64_t large_count = any_large_ ? large_.size() : 0;
    for (std::uint64_t index = 0; index < large_count; ++index) {
        const std::uint64_t word = large_[index].load(std::memory_order_relaxed);
        const unsigned shift = (word & kHuge) != 0 ? kHugeShift : kLargeShift;
        const std::uint64_t page = (word >> kLargeTagAt << kLargeBits | index) << kLargeShift >> shift;
        if (page >= first >> shift && page <= last >> shift) large_[index].store(0, std::memory_order_relaxed);
    }
}

} // namespace touka::memory
