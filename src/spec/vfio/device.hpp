// A device as VFIO shows it: regions, interrupt indexes, migration states. (Linux 6.1 include/uapi/linux/vfio.h; the
// vfio-user Protocol Specification 0.9, section "Commands" and following, has the same numbers) The host's byte order.
#pragma once

#include <cstdint>

namespace touka::spec::vfio {

/// enum of "VFIO_PCI_*_REGION_INDEX"; BARs are 0 to 5.
inline constexpr std::uint32_t VFIO_PCI_BAR0_REGION_INDEX = 0, VFIO_PCI_ROM_REGION_INDEX = 6,
                               VFIO_PCI_CONFIG_REGION_INDEX = 7, VFIO_PCI_VGA_REGION_INDEX = 8,
                               VFIO_PCI_NUM_REGIONS = 9;

/// enum of "VFIO_PCI_*_IRQ_INDEX".
inline constexpr std::uint32_t VFIO_PCI_INTX_IRQ_INDEX = 0, VFIO_PCI_MSI_IRQ_INDEX = 1, VFIO_PCI_MSIX_IRQ_INDEX = 2,
                               VFIO_PCI_ERR_IRQ_INDEX = 3, VFIO_PCI_REQ_IRQ_INDEX = 4, VFIO_PCI_NUM_IRQS = 5;

/// struct vfio_device_info, flags.
inline constexpr std::uint32_t VFIO_DEVICE_FLAGS_RESET = 1 << 0, VFIO_DEVICE_FLAGS_PCI = 1 << 1;

/// struct vfio_region_info.
struct RegionInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t cap_offset; ///< of the first capability, from the structure's start
    std::uint64_t size;
    std::uint64_t offset; ///< in the file that can be mapped
};
static_assert(sizeof(RegionInfo) == 32);
inline constexpr std::uint32_t VFIO_REGION_INFO_FLAG_READ = 1 << 0, VFIO_REGION_INFO_FLAG_WRITE = 1 << 1,
                               VFIO_REGION_INFO_FLAG_MMAP = 1 << 2, VFIO_REGION_INFO_FLAG_CAPS = 1 << 3;

/// struct vfio_info_cap_header; `next` counts from the start of the region info structure, 0 ends the list.
struct InfoCapHeader {
    std::uint16_t id;
    std::uint16_t version;
    std::uint32_t next;
};
static_assert(sizeof(InfoCapHeader) == 8);
inline constexpr std::uint16_t VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1;

/// struct vfio_region_info_cap_sparse_mmap after its header, and the areas that follow.
struct SparseMmap {
    std::uint32_t nr_areas;
    std::uint32_t reserved;
};
struct SparseMmapArea {
    std::uint64_t offset; ///< in the region
    std::uint64_t size;
};
static_assert(sizeof(SparseMmap) == 8 && sizeof(SparseMmapArea) == 16);

/// struct vfio_irq_info.
struct IrqInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t count;
};
static_assert(sizeof(IrqInfo) == 16);
inline constexpr std::uint32_t VFIO_IRQ_INFO_EVENTFD = 1 << 0, VFIO_IRQ_INFO_MASKABLE = 1 << 1,
                               VFIO_IRQ_INFO_AUTOMASKED = 1 << 2, VFIO_IRQ_INFO_NORESIZE = 1 << 3;

/// struct vfio_irq_set, before its data.
struct IrqSet {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t start;
    std::uint32_t count;
};
static_assert(sizeof(IrqSet) == 20);
inline constexpr std::uint32_t VFIO_IRQ_SET_DATA_NONE = 1 << 0, VFIO_IRQ_SET_DATA_BOOL = 1 << 1,
                               VFIO_IRQ_SET_DATA_EVENTFD = 1 << 2, VFIO_IRQ_SET_ACTION_MASK = 1 << 3,
                               VFIO_IRQ_SET_ACTION_UNMASK = 1 << 4, VFIO_IRQ_SET_ACTION_TRIGGER = 1 << 5,
                               VFIO_IRQ_SET_DATA_TYPE_MASK = 0x07, VFIO_IRQ_SET_ACTION_TYPE_MASK = 0x38;

/// struct vfio_device_feature, flags: the feature's index and what to do with it.
inline constexpr std::uint32_t VFIO_DEVICE_FEATURE_MASK = 0xFFFF, VFIO_DEVICE_FEATURE_GET = 1 << 16,
                               VFIO_DEVICE_FEATURE_SET = 1 << 17, VFIO_DEVICE_FEATURE_PROBE = 1 << 18;
enum class DeviceFeature : std::uint32_t {
    kMigration = 1,
    kMigDeviceState = 2,
    kDmaLoggingStart = 6,
    kDmaLoggingStop = 7,
    kDmaLoggingReport = 8,
};
/// struct vfio_device_feature_migration, flags.
inline constexpr std::uint64_t VFIO_MIGRATION_STOP_COPY = 1 << 0, VFIO_MIGRATION_P2P = 1 << 1,
                               VFIO_MIGRATION_PRE_COPY = 1 << 2;
/// enum vfio_device_mig_state.
enum class MigrationState : std::uint32_t {
    kError = 0,
    kStop = 1,
    kRunning = 2,
    kStopCopy = 3,
    kResuming = 4,
    kRunningP2p = 5,
    kPreCopy = 6,
    kPreCopyP2p = 7,
};

} // namespace touka::spec::vfio
