#include "devices/virtio/vhost_user/mapped_memory.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <utility>

namespace touka::devices::virtio {

using spec::virtio::kVhostUserLogPage;
using spec::virtio::kVhostUserRegionLimit;
using spec::virtio::VhostUserMemoryRegion;

namespace {

bool wraps(std::uint64_t start, std::uint64_t size) { return size > std::numeric_limits<std::uint64_t>::max() - start; }

bool overlap(std::uint64_t one, std::uint64_t one_size, std::uint64_t other, std::uint64_t other_size) {
    return one < other + other_size && other < one + one_size;
}

bool overlap(const VhostUserMemoryRegion& one, const VhostUserMemoryRegion& other) {
    return overlap(one.guest_address, one.size, other.guest_address, other.size) ||
           overlap(one.user_address, one.size, other.user_address, other.size);
}

} // namespace

bool MappedMemory::add(const VhostUserMemoryRegion& region, const runtime::UniqueFd& file) {
    if (regions_.size() >= kVhostUserRegionLimit) return false;
    if (wraps(region.guest_address, region.size) || wraps(region.user_address, region.size)) return false;
    if (std::ranges::any_of(regions_, [&](const Region& other) { return overlap(other.place, region); })) return false;
    auto mapping = SharedMapping::map_unsealed(file, region.mmap_offset, region.size);
    if (!mapping) return false;
    regions_.push_back({region, std::move(*mapping)});
    return true;
}

void MappedMemory::unmap_when_unused(std::vector<Region> regions) {
    if (regions.empty()) return;
    const auto unused = std::make_shared<std::vector<Region>>(std::move(regions)); // std::function copies
    revoked([unused] { unused->clear(); });
}

bool MappedMemory::remove(const VhostUserMemoryRegion& region) {
    const auto same = [&](const Region& r) {
        return r.place.guest_address == region.guest_address && r.place.size == region.size &&
               r.place.user_address == region.user_address;
    };
    const auto found = std::ranges::find_if(regions_, same); // one at most: regions do not overlap
    if (found == regions_.end()) return false;
    std::vector<Region> removed;
    removed.push_back(std::move(*found));
    regions_.erase(found);
    unmap_when_unused(std::move(removed));
    return true;
}

void MappedMemory::clear() { unmap_when_unused(std::exchange(regions_, {})); }

std::optional<memory::Iova> MappedMemory::from_user_address(std::uint64_t user_address) const {
    for (const Region& region : regions_) {
        const std::uint64_t offset = user_address - region.place.user_address;
        if (offset < region.place.size) return memory::Iova{region.place.guest_address + offset};
    }
    return std::nullopt;
}

std::expected<std::span<std::byte>, memory::DmaFault>
MappedMemory::translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) {
    for (const Region& region : regions_) {
        const std::uint64_t offset = address.value - region.place.guest_address;
        if (offset >= region.place.size) continue;
        if (region.mapping.lost()) break;
        return region.mapping.bytes().subspan(offset, std::min(length_bytes, region.place.size - offset));
    }
    return std::unexpected(memory::DmaFault{address, access});
}

void MappedMemory::written(std::span<const std::byte> host_memory) {
    if (!log_enabled_ || log_.bytes().empty() || host_memory.empty()) return;
    for (const Region& region : regions_) {
        const auto bytes = region.mapping.bytes();
        if (host_memory.data() < bytes.data() || host_memory.data() >= bytes.data() + bytes.size()) continue;
        const auto offset = static_cast<std::uint64_t>(host_memory.data() - bytes.data());
        const std::uint64_t first = region.place.guest_address + offset;
        for (std::uint64_t page = first / kVhostUserLogPage;
             page <= (first + host_memory.size() - 1) / kVhostUserLogPage; ++page) {
            if (page / 8 >= log_.bytes().size()) return;
            auto& byte = reinterpret_cast<std::uint8_t&>(log_.bytes()[page / 8]);
            std::atomic_ref(byte).fetch_or(static_cast<std::uint8_t>(1u << page % 8), std::memory_order_release);
        }
        return;
    }
}

} // namespace touka::devices::virtio
