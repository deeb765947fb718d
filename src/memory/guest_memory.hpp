// The guest's RAM: one memfd, mapped so that guest address and host address differ by a constant.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "memory/dirty_log.hpp"
#include "runtime/unique_fd.hpp"
#include "spec/address.hpp"

namespace touka::memory {

using spec::GuestAddress;

enum class MemoryError {
    kSizeNotPageMultiple, ///< the size is zero or not a multiple of 4 KiB
    kTooLittleHostMemory, ///< the host has neither the memory nor the address space
};

/// A contiguous piece of RAM in the guest's physical address space and its place in the memfd.
struct RamRange {
    GuestAddress start;
    std::uint64_t length_bytes = 0;
    std::uint64_t file_offset = 0;
    [[nodiscard]] GuestAddress end() const { return start + length_bytes; }
};

/// What the pages of RAM mean to a software engine that keeps decoded or translated code. One byte a page,
/// indexed by guest page number; any thread.
class CodePages {
public:
    explicit CodePages(std::uint64_t page_count);
    /// Marks the page as holding code that somebody decoded. A writer that stored before this returns either
    /// sees the mark or its bytes are seen by whoever decodes after this returns (membarrier inside).
    void mark(std::uint64_t page);
    [[nodiscard]] bool is_marked(std::uint64_t page) const { return marks_[page].load(std::memory_order_relaxed) != 0; }
    /// A page with code was written: what was decoded from it is stale. Clears the mark.
    void invalidate(std::uint64_t page);
    /// Grows by one at each invalidation; decoded code is valid while the number it was made under stands.
    [[nodiscard]] std::uint32_t generation(std::uint64_t page) const {
        return generations_[page].load(std::memory_order_acquire);
    }
    /// The bytes behind is_marked, for engines that test them inline after each store.
    [[nodiscard]] const std::atomic<std::uint8_t>* marks() const { return marks_.get(); }

private:
    std::unique_ptr<std::atomic<std::uint8_t>[]> marks_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> generations_;
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

    [[nodiscard]] DirtyLog& dirty_log() { return dirty_log_; }
    [[nodiscard]] CodePages& code_pages() { return code_pages_; }

private:
    GuestMemory(runtime::UniqueFd fd, std::byte* base, std::uint64_t mapped_bytes, std::vector<RamRange>);

    runtime::UniqueFd fd_;
    std::byte* base_;
    std::uint64_t mapped_bytes_;
    std::vector<RamRange> ranges_;
    std::uint64_t size_bytes_ = 0;
    DirtyLog dirty_log_;
    CodePages code_pages_;
};

} // namespace touka::memory
