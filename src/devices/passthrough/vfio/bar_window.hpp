// BARs of a function of the host as memory of this process. (Linux 6.1 include/uapi/linux/vfio.h, "struct
// vfio_region_info" and its capabilities)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::devices::vfio {

/// What of a region the kernel lets be mapped: all of it, or the areas of its sparse capability. Those that are no
/// whole pages or lie outside of the region are left out. That the table of MSI-X is among them (MSIX_MAPPABLE) or not
/// does not matter: who maps it into a guest leaves its pages out.
/// @param answer of VFIO_DEVICE_GET_REGION_INFO, with capabilities; of the host's kernel, checked all the same.
[[nodiscard]] std::vector<passthrough::RegionExtent> mappable_extents(std::span<const std::byte> answer);

/// The mapped parts of one BAR, as long as this lives.
class BarWindows {
public:
    /// @param offset of the region in the device's file.  @return null: nothing could be mapped.
    [[nodiscard]] static std::shared_ptr<const BarWindows> map(const runtime::UniqueFd& device, std::uint64_t offset,
                                                               std::span<const passthrough::RegionExtent> extents,
                                                               bool writable);
    ~BarWindows();
    BarWindows(const BarWindows&) = delete;
    BarWindows& operator=(const BarWindows&) = delete;

    [[nodiscard]] const std::vector<passthrough::RegionMemory::Area>& areas() const { return areas_; }

private:
    BarWindows() = default;
    std::vector<passthrough::RegionMemory::Area> areas_;
};

} // namespace touka::devices::vfio
