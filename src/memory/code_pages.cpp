#include "memory/code_pages.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "memory/guarded_view.hpp"

namespace touka::memory {
namespace {

void barrier_on_all_threads() { ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }

} // namespace

CodePages::CodePages(std::uint64_t page_count)
    : page_count_(page_count), holders_(new std::atomic<Holder>[page_count] {}), read_only_(new bool[page_count]{}),
      marks_(new std::atomic<std::uint8_t>[page_count] {}),
      generations_(new std::atomic<std::uint32_t>[page_count] {}) {
    ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

bool CodePages::take_right(std::uint64_t page, Holder holder) {
    Holder held = kNobody;
    if (!holders_[page].compare_exchange_strong(held, holder, std::memory_order_seq_cst) && held != holder)
        holders_[page].store(kSeveral, std::memory_order_seq_cst);
    return marks_[page].load(std::memory_order_seq_cst) == 0;
}

bool CodePages::mark(std::uint64_t page, Holder self) {
    if (is_marked(page)) return false;
    const std::lock_guard lock(changing_);
    if (is_marked(page)) return false;
    marks_[page].store(1, std::memory_order_seq_cst);
    // Writers store first and look at the mark afterwards, without a fence of their own: this is it.
    barrier_on_all_threads();
    const Holder held = holders_[page].load(std::memory_order_seq_cst);
    if (held == kNobody) return false;
    if (held == self) return true;
    protect(page);
    return false;
}

void CodePages::protect(std::uint64_t page) {
    if (!view_->set_writable(page, false)) {
        // The kernel's limit of mappings is reached. All pages writable are one mapping; code is found again.
        invalidate_all();
        if (!view_->set_writable(page, false)) std::abort();
        marks_[page].store(1, std::memory_order_seq_cst);
    }
    read_only_[page] = true;
}

void CodePages::invalidate(std::uint64_t page) {
    {
        const std::lock_guard lock(changing_);
        // The mark goes first: whoever decodes from here on sets it again and takes the new generation with it.
        marks_[page].store(0, std::memory_order_seq_cst);
        generations_[page].fetch_add(1, std::memory_order_seq_cst);
        // A page that stays read-only by the kernel's limit costs its writers time and nothing else.
        if (read_only_[page]) read_only_[page] = !view_->set_writable(page, true);
    }
    if (listener_) listener_();
}

void CodePages::invalidate_all() {
    for (std::uint64_t page = 0; page < page_count_; ++page) {
        if (marks_[page].exchange(0, std::memory_order_seq_cst) != 0)
            generations_[page].fetch_add(1, std::memory_order_seq_cst);
    }
    view_->set_all_writable();
    std::fill_n(read_only_.get(), page_count_, false);
    if (listener_) listener_();
}

} // namespace touka::memory
