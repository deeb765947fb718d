// Which pages were written since somebody last asked: what live migration copies again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace touka::memory {

/// One bit a guest page. Devices mark through DmaSpace, software engines when they open a page for writing,
/// the KVM engine merges the kernel's log. Any thread.
class DirtyLog {
public:
    explicit DirtyLog(std::uint64_t page_count);

    /// Starts or stops logging. Starting clears the log. Engines must drop their writable TLB entries after.
    void set_enabled(bool enabled);
    [[nodiscard]] bool enabled() const { return enabled_.load(std::memory_order_acquire); }
    /// Pages outside of the log are ignored. Cheap when not enabled.
    void mark(std::uint64_t first_page, std::uint64_t page_count = 1);
    /// Takes the bits of all pages written since the last call and clears them; bit n of word n / 64.
    [[nodiscard]] std::vector<std::uint64_t> take();
    [[nodiscard]] std::uint64_t page_count() const { return page_count_; }

private:
    std::uint64_t page_count_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
    std::atomic<bool> enabled_{false};
};

} // namespace touka::memory
