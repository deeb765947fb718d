#include "memory/guarded_view.hpp"

#include <sys/mman.h>

#include "memory/reservation.hpp"

namespace touka::memory {

using spec::kPageSize;

GuardedView::GuardedView(int fd, std::span<const RamRange> ranges)
    : ranges_(ranges.begin(), ranges.end()), reserved_bytes_(ranges.back().end().value),
      base_(map_ranges(fd, ranges, PROT_READ | PROT_WRITE)) {}

GuardedView::~GuardedView() {
    if (base_ != nullptr) ::munmap(base_, reserved_bytes_);
}

void GuardedView::map_now(GuestAddress start, std::uint64_t length_bytes) const {
    ::madvise(base_ + start.value, length_bytes, MADV_POPULATE_WRITE);
}

bool GuardedView::set_writable(std::uint64_t page, bool writable) {
    return ::mprotect(base_ + page * kPageSize, kPageSize, writable ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
}

void GuardedView::set_all_writable() {
    for (const RamRange& range : ranges_)
        ::mprotect(base_ + range.start.value, range.length_bytes, PROT_READ | PROT_WRITE);
}

} // namespace touka::memory
