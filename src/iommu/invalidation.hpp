#pragma once

#include <cstdint>

#include "iommu/requester_id.hpp"
#include "spec/vtd/invalidation.hpp"
#include "spec/vtd/translation_tables.hpp"

namespace touka::iommu {

/// What the guest wants forgotten: context entries, or translations.
struct Invalidation {
    enum class Cache : std::uint8_t { kContext, kIotlb };
    Cache cache = Cache::kContext;
    spec::vtd::Granularity granularity = spec::vtd::Granularity::kGlobal; ///< never kReserved
    std::uint16_t domain = 0;                                             ///< unless global
    RequesterId requester;                                                ///< of a context entry, selective
    std::uint8_t function_mask = 0; ///< which bits of its function do not count: RequesterId::matches
    std::uint64_t address = 0;      ///< of pages, selective: 2^address_mask from here on, aligned
    std::uint8_t address_mask = 0;  ///< kGreatestAddressMask at most

    [[nodiscard]] constexpr bool selects_pages() const {
        return cache == Cache::kIotlb && granularity == spec::vtd::Granularity::kSelective;
    }
};

/// Addresses from the first to the last.
struct Extent {
    std::uint64_t first = 0, last = ~std::uint64_t{0};
    bool operator==(const Extent&) const = default;
};

/// The addresses that an invalidation names.
[[nodiscard]] constexpr Extent extent(const Invalidation& invalidation) {
    if (!invalidation.selects_pages()) return {};
    const std::uint64_t bytes = std::uint64_t{1} << (invalidation.address_mask + spec::vtd::kPageShift);
    const std::uint64_t first = invalidation.address & ~(bytes - 1);
    return {first, first + (bytes - 1)};
}

} // namespace touka::iommu
