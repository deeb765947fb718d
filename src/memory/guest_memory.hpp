// The guest's RAM: one memfd, mapped so that guest address and host address differ by a constant.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "memory/code_pages.hpp"
#include "memory/dirty_log.hpp"
#include "memory/guarded_view.hpp"
#include "memory/ram_range.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/address.hpp"

namespace touka::memory {

using spec::GuestAddress;

enum class MemoryError {
    kSizeNotPageMultiple, ///< the size is zero or not a multiple of 4 KiB
    kTooLittleHostMemory, ///< the host has neither the memory nor the address space
};

/// Owns the guest's RAM for the life of the machine. RAM lies at [0, low) and, what does not fit below the
/// 32-bit device hole, from 4 GiB up. Contents race with the guest: copy once, validate the copy.
class GuestMemory {
public:
    /// Where RAM below 4 GiB ends at the latest: the ECAM and PCI windows follow.
    static constexpr std::uint64_t kLowRamLimit = 0x8000'0000;
    static constexpr std::uint64_t kHighRamStart = 0x1'0000'0000;

    [[nodiscard]] static std::expected<std::unique_ptr<GuestMemory>, MemoryError> create(std::uint64_t size_bytes);
    ~GuestMemory();
    GuestMemory(const GuestMemory&) = delete;
    GuestMemory& operator=(const GuestMemory&) = delete;

    [[nodiscard]] std::span<const RamRange> ranges() const { return ranges_; }
    [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
    /// First address above all RAM; addresses from here on are never RAM.
    [[nodiscard]] GuestAddress top() const { return ranges_.back().end(); }
    [[nodiscard]] int fd() const { return fd_.get(); }

    /// Host address of guest address 0. base() + a is valid memory only where is_ram(a).
    [[nodiscard]] std::byte* base() const { return base_; }
    [[nodiscard]] bool is_ram(GuestAddress address) const {
        return address.value < ranges_.front().length_bytes || (address.value >= kHighRamStart && address < top());
    }
    /// The RAM of [address, address + length_bytes), or an empty span when any byte of it is not RAM or
    /// length_bytes is 0. Does not mark anything dirty: for readers and for loading before the start.
    [[nodiscard]] std::span<std::byte> span(GuestAddress address, std::uint64_t length_bytes) const;
    /// To be called after host code wrote RAM of a running guest: records dirty pages and drops stale code.
    void written(GuestAddress address, std::uint64_t length_bytes);

    /// A processor will use the page: the host is told to map it and its neighbours at once, in all views, which costs
    /// a fraction of the faults that would come one by one. Any thread.
    void expect_use(std::uint64_t page) {
        const std::uint64_t chunk = page / kPagesAtOnce;
        if (mapped_chunks_[chunk].load(std::memory_order_relaxed) == 0) [[unlikely]]
            map_chunk(chunk);
    }

    [[nodiscard]] DirtyLog& dirty_log() { return dirty_log_; }
    [[nodiscard]] CodePages& code_pages() { return code_pages_; }

    /// Several may store by stores() from now on: it becomes a mapping of its own, where pages with code are read-only.
    /// Before anybody stores there. @return false when the host has no address space left for it. Control thread.
    [[nodiscard]] bool guard_stores();
    /// Host address of guest address 0, for those whose stores look at no marks: they need a right to the page
    /// (CodePages::take_right). All of it may be read.
    [[nodiscard]] std::byte* stores() const { return guarded_view_ ? guarded_view_->base() : base_; }

private:
    GuestMemory(runtime::UniqueFd fd, std::byte* base, std::uint64_t mapped_bytes, std::vector<RamRange>);

    static constexpr std::uint64_t kPagesAtOnce = 32;
    void map_chunk(std::uint64_t chunk);

    runtime::UniqueFd fd_;
    std::byte* base_;
    std::uint64_t mapped_bytes_;
    std::vector<RamRange> ranges_;
    std::uint64_t size_bytes_ = 0;
    DirtyLog dirty_log_;
    CodePages code_pages_;
    std::unique_ptr<GuardedView> guarded_view_;
    std::unique_ptr<std::atomic<std::uint8_t>[]> mapped_chunks_; ///< not 0: map_chunk() was there
};

} // namespace touka::memory
