#include "platform/pci/bar_allocator.hpp"

namespace touka::platform {

std::optional<std::uint64_t> BarAllocator::allocate(std::uint64_t length_bytes) {
    const auto align_up = [length_bytes](std::uint64_t value) {
        return (value + length_bytes - 1) & ~(length_bytes - 1);
    };
    std::uint64_t candidate = align_up(window_.first);
    for (const auto& [first, taken_bytes] : taken_) {
        if (candidate + length_bytes <= first) break;
        candidate = align_up(first + taken_bytes);
    }
    if (candidate + (length_bytes - 1) > window_.last()) return std::nullopt;
    taken_.emplace(candidate, length_bytes);
    return candidate;
}

} // namespace touka::platform
