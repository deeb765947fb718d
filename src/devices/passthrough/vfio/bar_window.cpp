#include "devices/passthrough/vfio/bar_window.hpp"

#include <linux/vfio.h>
#include <sys/mman.h>

#include <cstring>
#include <optional>

#include "spec/address.hpp"

namespace touka::devices::vfio {

using passthrough::RegionExtent;
using spec::kPageSize;

namespace {

constexpr unsigned kCapabilityLimit = 16;

template <class T>
std::optional<T> load(std::span<const std::byte> bytes, std::size_t at) {
    if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

bool usable(const RegionExtent& extent, std::uint64_t region_bytes) {
    return extent.length_bytes != 0 && extent.offset % kPageSize == 0 && extent.length_bytes % kPageSize == 0 &&
           extent.offset <= region_bytes && extent.length_bytes <= region_bytes - extent.offset;
}

/// struct vfio_region_info_cap_sparse_mmap: header, count, reserved, and the areas.
std::vector<RegionExtent> sparse_areas(std::span<const std::byte> answer, std::size_t at, std::uint64_t region_bytes) {
    const std::size_t count_at = at + sizeof(vfio_info_cap_header), areas_at = count_at + 2 * sizeof(std::uint32_t);
    std::vector<RegionExtent> extents;
    const std::uint32_t count = load<std::uint32_t>(answer, count_at).value_or(0);
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto area =
            load<vfio_region_sparse_mmap_area>(answer, areas_at + i * sizeof(vfio_region_sparse_mmap_area));
        if (!area) break;
        const RegionExtent extent{area->offset, area->size};
        if (usable(extent, region_bytes)) extents.push_back(extent);
    }
    return extents;
}

} // namespace

std::vector<RegionExtent> mappable_extents(std::span<const std::byte> answer) {
    const auto info = load<vfio_region_info>(answer, 0);
    if (!info || (info->flags & VFIO_REGION_INFO_FLAG_MMAP) == 0) return {};
    std::size_t at = (info->flags & VFIO_REGION_INFO_FLAG_CAPS) != 0 ? info->cap_offset : 0;
    for (unsigned i = 0; at != 0 && i < kCapabilityLimit; ++i) {
        const auto header = load<vfio_info_cap_header>(answer, at);
        if (!header) break;
        if (header->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) return sparse_areas(answer, at, info->size);
        at = header->next;
    }
    const RegionExtent whole{0, info->size};
    if (!usable(whole, info->size)) return {};
    return {whole};
}

std::shared_ptr<const BarWindows> BarWindows::map(const runtime::UniqueFd& device, std::uint64_t offset,
                                                  std::span<const RegionExtent> extents, bool writable) {
    std::shared_ptr<BarWindows> windows(new BarWindows);
    for (const RegionExtent& extent : extents) {
        void* const place = ::mmap(nullptr, extent.length_bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
                                   device.get(), static_cast<off_t>(offset + extent.offset));
        if (place == MAP_FAILED) continue; // as over an MSI-X table on kernels that keep it: reached by pread
        windows->areas_.push_back({extent.offset, {static_cast<std::byte*>(place), extent.length_bytes}});
    }
    if (windows->areas_.empty()) return nullptr;
    return windows;
}

BarWindows::~BarWindows() {
    for (const auto& area : areas_) ::munmap(area.bytes.data(), area.bytes.size());
}

} // namespace touka::devices::vfio
