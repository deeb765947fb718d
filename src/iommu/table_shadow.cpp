#include "iommu/table_shadow.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace touka::iommu {

namespace {

/// Whether one of them, ascending and as long as they can be, says all that `part` says.
bool says(const std::vector<Mapping>& all, const Mapping& part) {
    const auto next = std::ranges::upper_bound(all, part.iova, {}, &Mapping::iova);
    if (next == all.begin()) return false;
    const Mapping& found = *std::prev(next);
    return found.last() >= part.last() && found.agrees_with(part);
}

/// Sorts, and puts together what goes on.
void join(std::vector<Mapping>& all) {
    std::ranges::sort(all, {}, &Mapping::iova);
    std::size_t count = 0;
    for (const Mapping& each : all) {
        if (count > 0 && all[count - 1].continues_in(each)) {
            all[count - 1].length_bytes += each.length_bytes;
            all[count - 1].greatest_shift = std::max(all[count - 1].greatest_shift, each.greatest_shift);
        } else {
            all[count++] = each;
        }
    }
    all.resize(count);
}

} // namespace

TableShadow::Place TableShadow::first_that_reaches(std::uint64_t address) {
    const auto next = mappings_.upper_bound(address);
    if (next != mappings_.begin() && std::prev(next)->second.last() >= address) return std::prev(next);
    return next;
}

Extent TableShadow::whole_pages(const Extent& extent) const {
    Extent whole = extent;
    // The mappings at an address and beside it: of a page whose middle is no RAM there are only those.
    const auto widen = [&](std::uint64_t address) {
        const auto next = mappings_.upper_bound(address);
        for (auto place = next == mappings_.begin() ? next : std::prev(next); place != mappings_.end(); ++place) {
            const Mapping& mapping = place->second;
            const std::uint64_t within = (std::uint64_t{1} << mapping.greatest_shift) - 1;
            if (mapping.iova <= (address | within) && mapping.last() >= (address & ~within))
                whole = {std::min(whole.first, address & ~within), std::max(whole.last, address | within)};
            if (place == next) break;
        }
    };
    widen(extent.first);
    widen(extent.last);
    return whole;
}

std::vector<Mapping> TableShadow::take_away_wrong(const ScanResult& wanted) {
    std::vector<Mapping> outside;
    const auto [first, last] = wanted.extent;
    for (auto place = first_that_reaches(first); place != mappings_.end() && place->second.iova <= last;) {
        const Mapping mapping = place->second;
        if (says(wanted.mappings, mapping.part(first, last))) {
            ++place;
            continue;
        }
        place = mappings_.erase(place);
        sink_.unmap(mapping);
        if (mapping.iova < first) outside.push_back(mapping.part(mapping.iova, first - 1));
        if (mapping.last() > last) outside.push_back(mapping.part(last + 1, mapping.last()));
    }
    return outside;
}

std::vector<Mapping> TableShadow::missing(const std::vector<Mapping>& wanted) {
    std::vector<Mapping> all;
    for (const Mapping& run : wanted) {
        std::uint64_t from = run.iova;
        bool open = true;
        for (auto there = first_that_reaches(from); open && there != mappings_.end(); ++there) {
            if (there->second.iova > run.last()) break;
            if (there->second.iova > from) all.push_back(run.part(from, there->second.iova - 1));
            open = there->second.last() < run.last();
            from = there->second.last() + 1;
        }
        if (open) all.push_back(run.part(from, run.last()));
    }
    return all;
}

bool TableShadow::give(const Mapping& mapping) {
    if (mappings_.size() >= limit_ || !sink_.map(mapping)) return false;
    mappings_.emplace(mapping.iova, mapping);
    return true;
}

std::optional<std::uint64_t> TableShadow::update(const ScanResult& wanted, Joining joining) {
    const auto outside = take_away_wrong(wanted);
    auto more = missing(wanted.mappings);
    more.insert(more.end(), outside.begin(), outside.end());
    join(more);
    for (const Mapping& run : more) {
        const bool whole = joining == Joining::kAll || run.length_bytes >= kGreatRunBytes;
        const std::uint64_t step = whole ? run.length_bytes : spec::kPageSize;
        for (std::uint64_t done = 0; done < run.length_bytes; done += step) {
            if (!give(run.part(run.iova + done, run.iova + done + (step - 1)))) return run.iova + done;
        }
    }
    return wanted.cut_at;
}

} // namespace touka::iommu
