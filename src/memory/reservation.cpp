#include "memory/reservation.hpp"

#include <sys/mman.h>

namespace touka::memory {

std::byte* map_ranges(int fd, std::span<const RamRange> ranges, int protection) {
    const std::uint64_t reserved = ranges.back().end().value;
    void* mapped = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* base = static_cast<std::byte*>(mapped);
    for (const RamRange& range : ranges) {
        void* piece = ::mmap(base + range.start.value, range.length_bytes, protection,
                             MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, static_cast<off_t>(range.file_offset));
        if (piece != MAP_FAILED) continue;
        ::munmap(mapped, reserved);
        return nullptr;
    }
    return base;
}

} // namespace touka::memory
