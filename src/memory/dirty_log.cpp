#include "memory/dirty_log.hpp"

namespace touka::memory {

DirtyLog::DirtyLog(std::uint64_t page_count)
    : page_count_(page_count), words_(new std::atomic<std::uint64_t>[(page_count + 63) / 64] {}) {}

void DirtyLog::set_enabled(bool enabled) {
    if (enabled) (void)take();
    enabled_.store(enabled, std::memory_order_release);
}

void DirtyLog::mark(std::uint64_t first_page, std::uint64_t page_count) {
    if (!enabled()) return;
    for (std::uint64_t page = first_page; page < first_page + page_count && page < page_count_; ++page) {
        words_[page / 64].fetch_or(std::uint64_t{1} << (page % 64), std::memory_order_release);
    }
}

std::vector<std::uint64_t> DirtyLog::take() {
    std::vector<std::uint64_t> taken((page_count_ + 63) / 64);
    for (std::size_t i = 0; i < taken.size(); ++i) {
        taken[i] = words_[i].exchange(0, std::memory_order_acquire);
    }
    return taken;
}

} // namespace touka::memory
