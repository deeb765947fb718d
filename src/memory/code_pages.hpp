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
///
/// Writers look at the mark after they stored, or hold the right to store unseen (GuestMemory::stores()). Of a page
/// with rights it is known who holds them: the right of one who marks the page himself is his to give up; for all
/// others the page becomes read-only in the view, which costs a system call now and one when it is written.
class CodePages {
public:
    /// Who may hold rights to a page.
    using Holder = std::uint16_t;
    static constexpr Holder kNobody = 0, kSeveral = 0xFFFF;

    explicit CodePages(std::uint64_t page_count);
    [[nodiscard]] Holder new_holder() { return static_cast<Holder>(holder_count_.fetch_add(1) + 1); }
    /// @return false: the page holds code, there is no right. Pairs with mark(), as one of both sees the other.
    [[nodiscard]] bool take_right(std::uint64_t page, Holder holder);
    /// Marks the page as holding code that somebody decoded. A writer that stored before this returns either
    /// sees the mark or its bytes are seen by whoever decodes after this returns (membarrier inside).
    /// @return true: `self` alone holds rights, and must give_up() before it decodes.
    /// @pre guard() was called, if anybody but `self` may hold rights.
    [[nodiscard]] bool mark(std::uint64_t page, Holder self = kNobody);
    /// `self` holds no right any more.
    void give_up(std::uint64_t page, Holder self) { holders_[page].compare_exchange_strong(self, kNobody); }
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
    /// Rights come to nothing as long as the page is marked.
    void protect(std::uint64_t page);
    void invalidate_all();

    std::uint64_t page_count_;
    std::atomic<Holder> holder_count_{0};
    std::unique_ptr<std::atomic<Holder>[]> holders_;
    std::unique_ptr<bool[]> read_only_; ///< in the view; under changing_
    std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> generations_;
    /// Makes mark and protection change as one, where there is a view. No lock is taken inside.
    std::mutex changing_;
    GuardedView* view_ = nullptr;
    std::function<void()> listener_;
};

} // namespace touka::memory
