#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "iommu/invalidation.hpp"
#include "iommu/mapping.hpp"
#include "iommu/table_walker.hpp"

namespace touka::iommu {

/// What ends a scan before the end. Tables may hold themselves, and stand for 2^36 pages in one page of memory.
struct ScanLimits {
    std::size_t mappings = 65535;
    /// Tables that are looked through: 2^20 have the pages of 2 TiB, and take about a second.
    std::uint64_t tables = std::uint64_t{1} << 20;
    const std::atomic<bool>* abandoned = nullptr; ///< true: nobody waits for the result any more
};

struct ScanResult {
    /// What was looked through: the extent asked for, and all of the pages that lie across its ends.
    Extent extent;
    std::vector<Mapping> mappings;       ///< ascending; none continues in the next
    std::optional<std::uint64_t> cut_at; ///< a limit was reached: from this address on nothing is known
};

/// All that a second-level table maps to RAM in an extent, but for the interrupt range. Entries that are wrong map
/// nothing, as in TableWalker::walk.
[[nodiscard]] ScanResult scan_table(const TableWalker& walker, const memory::GuestMemory& memory,
                                    const Context& context, const Extent& extent, const ScanLimits& limits);
/// All RAM at its own addresses.
[[nodiscard]] ScanResult scan_identity(const memory::GuestMemory& memory);

} // namespace touka::iommu
