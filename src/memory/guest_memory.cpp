#include "memory/guest_memory.hpp"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <utility>

namespace touka::memory {

using spec::kPageSize;

namespace {

constexpr std::uint64_t pages(std::uint64_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }

void barrier_on_all_threads() { ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }

} // namespace

CodePages::CodePages(std::uint64_t page_count)
    : marks_(new std::atomic<std::uint8_t>[page_count] {}),
      generations_(new std::atomic<std::uint32_t>[page_count] {}) {
    ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

void CodePages::mark(std::uint64_t page) {
    if (is_marked(page)) return;
    marks_[page].store(1, std::memory_order_seq_cst);
    // Writers store first and look at the mark afterwards, without a fence of their own: this is it.
    barrier_on_all_threads();
}

void CodePages::invalidate(std::uint64_t page) {
    // The mark goes first: whoever decodes from here on sets it again and takes the new generation with it.
    marks_[page].store(0, std::memory_order_seq_cst);
    generations_[page].fetch_add(1, std::memory_order_seq_cst);
}

std::expected<std::unique_ptr<GuestMemory>, MemoryError> GuestMemory::create(std::uint64_t size_bytes) {
    if (size_bytes == 0 || size_bytes % kPageSize != 0) return std::unexpected(MemoryError::kSizeNotPageMultiple);

    const std::uint64_t low = std::min(size_bytes, kLowRamLimit);
    std::vector<RamRange> ranges{{GuestAddress{0}, low, 0}};
    if (size_bytes > low) ranges.push_back({GuestAddress{kHighRamStart}, size_bytes - low, low});

    runtime::UniqueFd fd(::memfd_create("guest-ram", MFD_CLOEXEC));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
        return std::unexpected(MemoryError::kTooLittleHostMemory);
    }
    // One reservation over RAM and hole, so that a guest address is an offset; the hole stays inaccessible.
    const std::uint64_t reserved = ranges.back().end().value;
    void* base = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return std::unexpected(MemoryError::kTooLittleHostMemory);
    for (const RamRange& range : ranges) {
        void* mapped =
            ::mmap(static_cast<std::byte*>(base) + range.start.value, range.length_bytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd.get(), static_cast<off_t>(range.file_offset));
        if (mapped != MAP_FAILED) continue;
        ::munmap(base, reserved);
        return std::unexpected(MemoryError::kTooLittleHostMemory);
    }
    return std::unique_ptr<GuestMemory>(
        new GuestMemory(std::move(fd), static_cast<std::byte*>(base), reserved, std::move(ranges)));
}

GuestMemory::GuestMemory(runtime::UniqueFd fd, std::byte* base, std::uint64_t mapped_bytes,
                         std::vector<RamRange> ranges)
    : fd_(std::move(fd)), base_(base), mapped_bytes_(mapped_bytes), ranges_(std::move(ranges)),
      dirty_log_(pages(mapped_bytes)), code_pages_(pages(mapped_bytes)) {
    for (const RamRange& range : ranges_) size_bytes_ += range.length_bytes;
}

GuestMemory::~GuestMemory() { ::munmap(base_, mapped_bytes_); }

std::span<std::byte> GuestMemory::span(GuestAddress address, std::uint64_t length_bytes) const {
    for (const RamRange& range : ranges_) {
        if (address < range.start || address >= range.end()) continue;
        if (length_bytes > range.end() - address) return {};
        return {base_ + address.value, length_bytes};
    }
    return {};
}

void GuestMemory::written(GuestAddress address, std::uint64_t length_bytes) {
    if (length_bytes == 0) return;
    const std::uint64_t first = address.value / kPageSize;
    const std::uint64_t last = (address.value + length_bytes - 1) / kPageSize;
    dirty_log_.mark(first, last - first + 1);
    for (std::uint64_t page = first; page <= last; ++page) {
        if (code_pages_.is_marked(page)) code_pages_.invalidate(page);
    }
}

} // namespace touka::memory
