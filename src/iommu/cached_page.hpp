#pragma once

#include <cstdint>

#include "iommu/table_walker.hpp"
#include "iommu/unit_options.hpp"
#include "memory/guest_memory.hpp"
#include "memory/translation_cache.hpp"

namespace touka::iommu {

constexpr std::uint64_t aligned_down(std::uint64_t address, unsigned shift) { return address >> shift << shift; }

/// Lets a cache know of a page that the tables have, as much of it as may be kept: RAM alone, never the interrupt
/// range.
/// @param address within the page.  @pre the cache's owner's lock is held; its RAM begins at that address.
inline void cache_page(memory::TranslationCache& cache, const memory::GuestMemory& memory, std::uint64_t address,
                       const Translation& translation) {
    constexpr unsigned kSmall = memory::TranslationCache::kSmallShift, kLarge = memory::TranslationCache::kLargeShift;
    const auto piece = [&](unsigned shift) {
        const std::uint64_t within = aligned_down(address, shift) - aligned_down(address, translation.shift);
        return memory::TranslationCache::Page{.address = aligned_down(address, shift),
                                              .guest = translation.page + within,
                                              .shift = shift,
                                              .read = translation.read,
                                              .write = translation.write,
                                              .huge = translation.shift > kLarge};
    };
    if (translation.shift >= kLarge) {
        const auto large = piece(kLarge);
        const bool all_ram = !memory.span(memory::GuestAddress{large.guest}, 1u << kLarge).empty();
        if (all_ram && large.address != aligned_down(kInterruptRange, kLarge)) return cache.fill(large);
    }
    // A small piece of a greater page would outlive an invalidation that names another address of that page.
    if (translation.shift == kSmall) cache.fill(piece(kSmall));
}

} // namespace touka::iommu
