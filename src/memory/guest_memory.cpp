#include "memory/guest_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "memory/reservation.hpp"

namespace touka::memory {

using spec::kPageSize;

namespace {

constexpr std::uint64_t pages(std::uint64_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }

} // namespace

std::expected<std::unique_ptr<GuestMemory>, MemoryError> GuestMemory::create(std::uint64_t size_bytes) {
    if (size_bytes == 0 || size_bytes % kPageSize != 0) return std::unexpected(MemoryError::kSizeNotPageMultiple);

    const std::uint64_t low = std::min(size_bytes, kLowRamLimit);
    std::vector<RamRange> ranges{{GuestAddress{0}, low, 0}};
    if (size_bytes > low) ranges.push_back({GuestAddress{kHighRamStart}, size_bytes - low, low});

    // Sealed, so that a process that it is shared with need not fear that it becomes shorter.
    runtime::UniqueFd fd(::memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0 ||
        ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return std::unexpected(MemoryError::kTooLittleHostMemory);
    }
    std::byte* base = map_ranges(fd.get(), ranges, PROT_READ | PROT_WRITE);
    if (base == nullptr) return std::unexpected(MemoryError::kTooLittleHostMemory);
    const std::uint64_t reserved = ranges.back().end().value;
    return std::unique_ptr<GuestMemory>(new GuestMemory(std::move(fd), base, reserved, std::move(ranges)));
}

GuestMemory::GuestMemory(runtime::UniqueFd fd, std::byte* base, std::uint64_t mapped_bytes,
                         std::vector<RamRange> ranges)
    : fd_(std::move(fd)), base_(base), mapped_bytes_(mapped_bytes), ranges_(std::move(ranges)),
      dirty_log_(pages(mapped_bytes)), code_pages_(pages(mapped_bytes)),
      mapped_chunks_(new std::atomic<std::uint8_t>[pages(mapped_bytes) / kPagesAtOnce + 1] {}) {
    for (const RamRange& range : ranges_) size_bytes_ += range.length_bytes;
}

bool GuestMemory::guard_stores() {
    if (guarded_view_) return true;
    auto view = std::make_unique<GuardedView>(fd_.get(), ranges_);
    if (!view->is_mapped()) return false;
    guarded_view_ = std::move(view);
    code_pages_.guard(*guarded_view_);
    return true;
}

void GuestMemory::map_chunk(std::uint64_t chunk) {
    mapped_chunks_[chunk].store(1, std::memory_order_relaxed);
    const GuestAddress start{chunk * kPagesAtOnce * kPageSize};
    for (const RamRange& range : ranges_) {
        if (start < range.start || start >= range.end()) continue;
        const std::uint64_t length_bytes = std::min(kPagesAtOnce * kPageSize, range.end() - start);
        // Hints: what fails (pages with code are read-only in the view) is mapped when it is touched.
        ::madvise(base_ + start.value, length_bytes, MADV_POPULATE_WRITE);
        if (guarded_view_) guarded_view_->map_now(start, length_bytes);
    }
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
