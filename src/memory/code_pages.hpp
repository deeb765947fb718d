// Which pages of RAM hold code that a software engine decoded or translated.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace touka::memory {

class GuardedView;

/// One byte and one generation a page, indexed by guest page number; any thread.
class CodePages {
public:
    explicit CodePages(std::uint64_t page_count);
    /// Marks the page as holding code that somebody decoded. A writer that stored before this returns either
    /// sees the mark or its bytes are seen by whoever decodes after this returns (membarrier inside).
    void mark(std::uint64_t page);
    [[nodiscard]] bool is_marked(std::uint64_t page) const { return marks_[page].load(std::memory_order_acquire) != 0; }
    /// A page with code was written: what was decoded from it is stale. Clears the mark.
    void invalidate(std::uint64_t page);
    /// Grows by one at each invalidation; decoded code is valid while the number it was made under stands.
    [[nodiscard]] std::uint32_t generation(std::uint64_t page) const {
        return generations_[page].load(std::memory_order_acquire);
    }
    /// The bytes behind is_marked, for engines that test them inline after each store.
    [[nodiscard]] const std::atomic<std::uint8_t>* marks() const { return marks_.get(); }

    /// From now on marked pages are read-only in `view`. Before any page is marked; the view outlives this.
    void guard(GuardedView& view) { view_ = &view; }
    /// Called after each invalidation, on the thread that wrote the page. Before any page is marked.
    void on_invalidate(std::function<void()> listener) { listener_ = std::move(listener); }

private:
    void invalidate_all();

    std::uint64_t page_count_;
    std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> generations_;
    /// Makes mark and protection change as one, where there is a view. No lock is taken inside.
    std::mutex changing_;
    GuardedView* view_ = nullptr;
    std::function<void()> listener_;
};

} // namespace touka::memory
