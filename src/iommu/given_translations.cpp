#include "iommu/given_translations.hpp"

#include <algorithm>
#include <utility>

namespace touka::iommu {

void GivenTranslations::each_page(const Mapping& mapping, std::uint64_t window,
                                  const std::function<void(std::size_t, std::uint64_t)>& visit) {
    const std::uint64_t start = window << kWindowShift;
    const std::uint64_t from = std::max(mapping.iova, start);
    const std::uint64_t to = std::min(mapping.last(), start + (std::uint64_t{1} << kWindowShift) - 1);
    const std::uint64_t permissions = (mapping.read ? 1u : 0u) | (mapping.write ? 2u : 0u);
    for (std::uint64_t address = from; address <= to && address >= from; address += std::uint64_t{1} << kPageShift)
        visit((address - start) >> kPageShift, (mapping.guest + (address - mapping.iova)) | permissions);
}

void GivenTranslations::add(std::span<const Mapping> mappings) {
    if (overflowed_) return;
    for (const Mapping& mapping : mappings) {
        greatest_shift_ = std::max(greatest_shift_, mapping.greatest_shift);
        for (std::uint64_t window = mapping.iova >> kWindowShift; window <= mapping.last() >> kWindowShift; ++window) {
            if (windows_.size() >= kWindowLimit && !windows_.contains(window)) {
                windows_.clear();
                overflowed_ = true;
                return;
            }
            Window& pages = windows_[window];
            each_page(mapping, window, [&pages](std::size_t index, std::uint64_t word) {
                pages[index] = pages[index] == 0 || pages[index] == word ? word : kMixed;
            });
        }
    }
}

std::vector<Extent> GivenTranslations::take_stale(Extent extent, const Look& look) {
    if (overflowed_) {
        overflowed_ = extent != Extent{};
        return {extent};
    }
    // Any address of a greater page stands for all of it.
    const std::uint64_t page_mask = (std::uint64_t{1} << greatest_shift_) - 1;
    extent = {extent.first & ~page_mask, extent.last | page_mask};
    std::vector<Extent> stale;
    for (auto at = windows_.lower_bound(extent.first >> kWindowShift);
         at != windows_.end() && at->first <= extent.last >> kWindowShift;) {
        auto& [window, pages] = *at;
        const std::uint64_t start = window << kWindowShift;
        const Extent asked{std::max(extent.first, start),
                           std::min(extent.last, start + (std::uint64_t{1} << kWindowShift) - 1)};
        Window now{};
        for (const Mapping& mapping : look(asked)) {
            if (mapping.iova > asked.last || mapping.last() < asked.first) continue;
            each_page(mapping, window, [&now](std::size_t index, std::uint64_t word) { now[index] = word; });
        }
        for (std::size_t index = (asked.first - start) >> kPageShift; index <= (asked.last - start) >> kPageShift;
             ++index) {
            if (pages[index] == 0 || pages[index] == now[index]) continue;
            pages[index] = 0;
            const std::uint64_t first = start + (std::uint64_t{index} << kPageShift);
            const std::uint64_t last = first + (std::uint64_t{1} << kPageShift) - 1;
            if (!stale.empty() && stale.back().last + 1 == first) {
                stale.back().last = last;
            } else {
                stale.push_back({first, last});
            }
        }
        const bool empty = std::ranges::all_of(pages, [](std::uint64_t word) { return word == 0; });
        at = empty ? windows_.erase(at) : std::next(at);
    }
    return stale;
}

bool GivenTranslations::take_all() {
    const bool any = !windows_.empty() || overflowed_;
    windows_.clear();
    overflowed_ = false;
    return any;
}

} // namespace touka::iommu
