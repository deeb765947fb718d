// Linux' iommufd: I/O address spaces, and how a function that is opened by a file of its own gets one. (Linux 6.8
// include/uapi/linux/iommufd.h, include/uapi/linux/vfio.h, Documentation/userspace-api/iommufd.rst) The host's byte
// order.
#pragma once

#include <cstdint>

namespace touka::spec::vfio {

/// Both interfaces number their requests in type ';' as _IO does, without direction and size: the structure says its
/// size itself, and what is beyond what the kernel knows of it has to be 0.
constexpr unsigned long request_number(std::uint8_t number) { return 0x3B00ul | number; }

/// enum of "IOMMUFD_CMD_*". On /dev/iommu.
inline constexpr unsigned long IOMMU_DESTROY = request_number(0x80), IOMMU_IOAS_ALLOC = request_number(0x81),
                               IOMMU_IOAS_MAP = request_number(0x85), IOMMU_IOAS_UNMAP = request_number(0x86);

/// struct iommu_destroy: any object; one that is in use is refused.
struct IommuDestroy {
    std::uint32_t size;
    std::uint32_t id;
};
/// struct iommu_ioas_alloc.
struct IommuIoasAlloc {
    std::uint32_t size;
    std::uint32_t flags;
    std::uint32_t out_ioas_id;
};
/// struct iommu_ioas_map: memory of the caller's; what is mapped already is not replaced.
struct IommuIoasMap {
    std::uint32_t size;
    std::uint32_t flags;
    std::uint32_t ioas_id;
    std::uint32_t reserved;
    std::uint64_t user_va;
    std::uint64_t length;
    std::uint64_t iova; ///< in, with FIXED_IOVA
};
inline constexpr std::uint32_t IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
                               IOMMU_IOAS_MAP_READABLE = 1 << 2;
/// struct iommu_ioas_unmap: whole mappings.
struct IommuIoasUnmap {
    std::uint32_t size;
    std::uint32_t ioas_id;
    std::uint64_t iova;
    std::uint64_t length; ///< out: what was unmapped
};
static_assert(sizeof(IommuDestroy) == 8 && sizeof(IommuIoasAlloc) == 12 && sizeof(IommuIoasMap) == 40 &&
              sizeof(IommuIoasUnmap) == 24);
static_assert(IOMMU_IOAS_MAP == 0x3B85);

/// On a function's file, /dev/vfio/devices/vfioN: nothing else is answered before BIND.
inline constexpr unsigned long VFIO_DEVICE_BIND_IOMMUFD = request_number(100 + 18),
                               VFIO_DEVICE_ATTACH_IOMMUFD_PT = request_number(100 + 19);

/// struct vfio_device_bind_iommufd; closing the file is the opposite.
struct DeviceBindIommufd {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::int32_t iommufd;
    std::uint32_t out_devid;
};
/// struct vfio_device_attach_iommufd_pt.
struct DeviceAttachIommufdPt {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t pt_id; ///< in: an IOAS; out: the page table that the kernel has made for it
};
static_assert(sizeof(DeviceBindIommufd) == 16 && sizeof(DeviceAttachIommufdPt) == 12);
static_assert(VFIO_DEVICE_BIND_IOMMUFD == 0x3B76);

} // namespace touka::spec::vfio
