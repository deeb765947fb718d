#include "platform/address_space.hpp"

#include <algorithm>

namespace touka::platform {

namespace {
constexpr std::uint64_t all_ones(unsigned width_bytes) {
    return width_bytes >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width_bytes)) - 1;
}
} // namespace

AddressSpace::AddressSpace() : map_(std::make_shared<const Map>()) {}

std::expected<void, AddressSpaceError> AddressSpace::add(std::uint64_t first, std::uint64_t length,
                                                         IoHandler& handler) {
    if (length == 0 || first + (length - 1) < first) return std::unexpected(AddressSpaceError::kEmpty);
    const Range range{first, first + (length - 1), &handler};
    const std::scoped_lock lock(writers_);
    auto map = std::make_shared<Map>(*map_.load());
    const auto next = std::ranges::lower_bound(*map, first, {}, &Range::last);
    if (next != map->end() && next->first <= range.last) return std::unexpected(AddressSpaceError::kOverlap);
    map->insert(next, range);
    map_.store(std::move(map));
    return {};
}

void AddressSpace::remove(std::uint64_t first) {
    const std::scoped_lock lock(writers_);
    auto map = std::make_shared<Map>(*map_.load());
    std::erase_if(*map, [first](const Range& range) { return range.first == first; });
    map_.store(std::move(map));
}

AddressSpace::Place AddressSpace::find(std::uint64_t address, unsigned width_bytes) const {
    const auto map = map_.load();
    const auto at = std::ranges::lower_bound(*map, address, {}, &Range::last);
    if (at == map->end() || address < at->first || at->last - address < width_bytes - 1) return {nullptr, 0};
    return {at->handler, address - at->first};
}

std::uint64_t AddressSpace::read(std::uint64_t address, unsigned width_bytes) const {
    const Place place = find(address, width_bytes);
    if (!place.handler) return all_ones(width_bytes);
    return place.handler->read(place.offset, width_bytes) & all_ones(width_bytes);
}

void AddressSpace::write(std::uint64_t address, unsigned width_bytes, std::uint64_t value) const {
    const Place place = find(address, width_bytes);
    if (place.handler) place.handler->write(place.offset, width_bytes, value & all_ones(width_bytes));
}

} // namespace touka::platform
