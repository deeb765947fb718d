#include "iommu/table_scan.hpp"

#include <algorithm>

#include "iommu/unit_options.hpp"

namespace touka::iommu {

using namespace spec::vtd;

namespace {

class Scan {
public:
    Scan(const TableWalker& walker, const memory::GuestMemory& memory, const Extent& extent, const ScanLimits& limits)
        : walker_(walker), memory_(memory), limits_(limits), tables_left_(limits.tables), asked_(extent) {
        result_.extent = extent;
    }

    /// @param place what the table stands for, with the permissions so far.  @return false: a limit was reached.
    bool look_through(std::uint64_t table, unsigned level, const Mapping& place) {
        const std::uint64_t from = std::max(asked_.first, place.iova), to = std::min(asked_.last, place.last());
        if (tables_left_ == 0 || (limits_.abandoned != nullptr && limits_.abandoned->load(std::memory_order_relaxed)))
            return cut(from);
        --tables_left_;
        const unsigned shift = level_shift(level);
        for (std::uint64_t index = (from - place.iova) >> shift; index <= (to - place.iova) >> shift; ++index) {
            const auto step = walker_.step(table, level, index);
            if (!step || step->kind == PagingStep::Kind::kAbsent) continue;
            const Mapping next{.iova = place.iova + (index << shift),
                               .length_bytes = std::uint64_t{1} << shift,
                               .guest = step->address,
                               .read = place.read && step->read,
                               .write = place.write && step->write,
                               .greatest_shift = shift};
            const bool went_on =
                step->kind == PagingStep::Kind::kPage ? take_page(next) : look_through(step->address, level - 1, next);
            if (!went_on) return false;
        }
        return true;
    }
    [[nodiscard]] ScanResult take() { return std::move(result_); }

private:
    bool cut(std::uint64_t address) {
        result_.cut_at = address;
        return false;
    }

    bool take_page(const Mapping& page) {
        result_.extent = {std::min(result_.extent.first, page.iova), std::max(result_.extent.last, page.last())};
        if (!page.read && !page.write) return true;
        for (const memory::RamRange& range : memory_.ranges()) {
            const std::uint64_t from = std::max(page.guest, range.start.value);
            const std::uint64_t to = std::min(page.guest + page.length_bytes, range.end().value);
            if (from >= to) continue;
            const std::uint64_t offset = from - page.guest;
            if (!take_ram(page.part(page.iova + offset, page.iova + offset + (to - from - 1)))) return false;
        }
        return true;
    }

    bool take_ram(const Mapping& piece) {
        constexpr std::uint64_t kBefore = kInterruptRange - 1, kAfter = kInterruptRange + kInterruptRangeBytes;
        if (piece.last() < kInterruptRange || piece.iova >= kAfter) return append(piece);
        if (piece.iova < kInterruptRange && !append(piece.part(piece.iova, kBefore))) return false;
        return piece.last() < kAfter || append(piece.part(kAfter, piece.last()));
    }

    bool append(const Mapping& piece) {
        auto& all = result_.mappings;
        if (!all.empty() && all.back().continues_in(piece)) {
            all.back().length_bytes += piece.length_bytes;
            all.back().greatest_shift = std::max(all.back().greatest_shift, piece.greatest_shift);
            return true;
        }
        if (all.size() == limits_.mappings) return cut(piece.iova);
        all.push_back(piece);
        return true;
    }

    const TableWalker& walker_;
    const memory::GuestMemory& memory_;
    const ScanLimits& limits_;
    std::uint64_t tables_left_;
    Extent asked_;
    ScanResult result_;
};

} // namespace

ScanResult scan_table(const TableWalker& walker, const memory::GuestMemory& memory, const Context& context,
                      const Extent& extent, const ScanLimits& limits) {
    Scan scan(walker, memory, extent, limits);
    const Mapping all{.iova = 0,
                      .length_bytes = std::uint64_t{1} << context.address_width(),
                      .guest = 0,
                      .read = true,
                      .write = true};
    if (extent.first <= all.last()) (void)scan.look_through(context.table, context.levels, all);
    return scan.take();
}

ScanResult scan_identity(const memory::GuestMemory& memory) {
    ScanResult all;
    for (const memory::RamRange& range : memory.ranges()) {
        all.mappings.push_back({.iova = range.start.value,
                                .length_bytes = range.length_bytes,
                                .guest = range.start.value,
                                .read = true,
                                .write = true});
    }
    return all;
}

} // namespace touka::iommu
