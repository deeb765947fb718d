#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "iommu/invalidation.hpp"
#include "iommu/mapping.hpp"
#include "iommu/table_scan.hpp"

namespace touka::iommu {

/// What a device may keep of what it was told, so that it has to be told only of what is not so any more. Of bounded
/// size: beyond it, nothing is known, and the device is told of every invalidation until one of all addresses comes.
/// Not synchronised.
class GivenTranslations {
public:
    static constexpr unsigned kPageShift = 12, kWindowShift = 21;
    static constexpr std::size_t kWindowLimit = 4096; ///< of 512 pages, which take 4 KiB

    /// @param mappings whole pages below 2^48.
    void add(std::span<const Mapping> mappings);

    /// What the tables have now of an extent: @return mappings from and to anywhere.
    using Look = std::function<std::vector<Mapping>(const Extent&)>;
    /// Forgets what of an extent is not as it was given.  @return that, ascending.
    [[nodiscard]] std::vector<Extent> take_stale(Extent extent, const Look& look);
    /// Forgets everything. @return false: nothing was given.
    bool take_all();

    [[nodiscard]] std::size_t window_count() const { return windows_.size(); }

private:
    static constexpr std::size_t kPages = std::size_t{1} << (kWindowShift - kPageShift);
    /// By page: where it is, and permissions; 0: not given.
    using Window = std::array<std::uint64_t, kPages>;
    /// Given twice, differently, without an invalidation in between: never as it was given.
    static constexpr std::uint64_t kMixed = ~std::uint64_t{0};

    /// Calls for each page of the part of a mapping in a window. @param visit index in the window, and its word.
    static void each_page(const Mapping& mapping, std::uint64_t window,
                          const std::function<void(std::size_t, std::uint64_t)>& visit);

    std::map<std::uint64_t, Window> windows_; // by address >> kWindowShift
    unsigned greatest_shift_ = kPageShift;    // of all pages that were given
    bool overflowed_ = false;
};

} // namespace touka::iommu
