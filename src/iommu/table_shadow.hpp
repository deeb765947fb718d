#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "iommu/mapping.hpp"
#include "iommu/table_scan.hpp"

namespace touka::iommu {

/// What a device has of its requester's address space, kept in step with the guest's tables with few calls. A mapping
/// cannot be changed in place: what is right in part is taken away whole, and what of it still holds is given again. In
/// between the device does not reach it, so that a mapping should be what a guest takes away at once, too. So what is
/// already there never grows, and what is new becomes one mapping only as far as the guest told of it at once.
///
/// One thread's.
class TableShadow {
public:
    /// How new pages become mappings.
    enum class Joining {
        kAll,       ///< all that go on: they were told of together
        kGreatRuns, ///< from kGreatRunBytes on: pages of several owners are found at once, some perhaps not told of yet
    };
    static constexpr std::uint64_t kGreatRunBytes = std::uint64_t{2} << 20;

    /// @param sink outlives it.  @param limit of mappings.
    TableShadow(MappingSink& sink, std::size_t limit) : sink_(sink), limit_(limit) {}

    /// Makes the device's mappings in an extent those of the scan.
    /// @return where the device reaches less than the tables say from now on: the limit, or one that it refused. What
    /// is missing is not tried again before somebody asks for that place again.
    std::optional<std::uint64_t> update(const ScanResult& wanted, Joining joining);
    /// The extent, and all of the greater pages that lie across its ends: an address of one stands for all of it.
    [[nodiscard]] Extent whole_pages(const Extent& extent) const;
    [[nodiscard]] const std::map<std::uint64_t, Mapping>& mappings() const { return mappings_; }

private:
    using Place = std::map<std::uint64_t, Mapping>::iterator;
    [[nodiscard]] Place first_that_reaches(std::uint64_t address);
    [[nodiscard]] std::vector<Mapping> take_away_wrong(const ScanResult& wanted);
    [[nodiscard]] std::vector<Mapping> missing(const std::vector<Mapping>& wanted);
    [[nodiscard]] bool give(const Mapping& mapping);

    MappingSink& sink_;
    std::size_t limit_;
    std::map<std::uint64_t, Mapping> mappings_; // by iova; disjoint
};

} // namespace touka::iommu
