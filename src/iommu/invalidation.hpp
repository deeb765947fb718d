#pragma once

#include <cstdint>

#include "iommu/requester_id.hpp"
#include "spec/vtd/invalidation.hpp"

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
};

} // namespace touka::iommu
