// A PCI function in another process, as messages over a unix socket. (vfio-user Protocol Specification 0.9.2: nutanix
// libvfio-user docs/vfio-user.rst, QEMU docs/interop/vfio-user.rst; sections are named as there) The host's byte order.
#pragma once

#include <cstdint>

namespace touka::spec::vfio_user {

/// Section "VFIO_USER_VERSION": as they go over the wire; the document has a number of its own.
inline constexpr std::uint16_t kMajor = 0, kMinor = 1;

/// Section "Commands"; who sends it in brackets when it is not the client.
enum class Command : std::uint16_t {
    kVersion = 1,
    kDmaMap = 2,
    kDmaUnmap = 3,
    kDeviceGetInfo = 4,
    kDeviceGetRegionInfo = 5,
    kDeviceGetRegionIoFds = 6,
    kDeviceGetIrqInfo = 7,
    kDeviceSetIrqs = 8,
    kRegionRead = 9,
    kRegionWrite = 10,
    kDmaRead = 11,  // server
    kDmaWrite = 12, // server
    kDeviceReset = 13,
    kRegionWriteMulti = 15,
    kDeviceFeature = 16,
    kMigDataRead = 17,
    kMigDataWrite = 18,
    // Touka's own: address_translation.hpp.
    kTranslate = 0x5401, // server
    kInvalidateTranslations = 0x5402,
};

/// Section "Header".
struct Header {
    std::uint16_t message_id;
    std::uint16_t command;
    std::uint32_t message_size; ///< with this header
    std::uint32_t flags;
    std::uint32_t error; ///< errno, in replies with kError
};
static_assert(sizeof(Header) == 16);
inline constexpr std::uint32_t kTypeMask = 0xF, kTypeCommand = 0, kTypeReply = 1, kNoReply = 1 << 4, kError = 1 << 5;

/// Section "VFIO_USER_VERSION"; JSON with a terminating NUL follows, or nothing.
struct Version {
    std::uint16_t major;
    std::uint16_t minor;
};
static_assert(sizeof(Version) == 4);
/// What a sender that does not name a capability has.
inline constexpr std::uint64_t kDefaultMaxMessageDescriptors = 1, kDefaultMaxTransferBytes = 1 << 20,
                               kDefaultMaxDmaMaps = 65535, kDefaultPageSizes = 4096;

/// Section "VFIO_USER_DMA_MAP".
struct DmaMap {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t offset; ///< in the file that comes with the message
    std::uint64_t address;
    std::uint64_t size;
};
static_assert(sizeof(DmaMap) == 32);
inline constexpr std::uint32_t kDmaReadable = 1 << 0, kDmaWriteable = 1 << 1;

/// Section "VFIO_USER_DMA_UNMAP". The flags are those of libvfio-user's vfio-user.h: the first had its bitmap in
/// earlier versions, the second takes everything, with address and size 0.
struct DmaUnmap {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint64_t address;
    std::uint64_t size;
};
static_assert(sizeof(DmaUnmap) == 24);
inline constexpr std::uint32_t kUnmapGetDirtyBitmap = 1 << 0, kUnmapAll = 1 << 1;
/// struct vfio_user_bitmap of vfio-user.h: follows a DmaUnmap with kUnmapGetDirtyBitmap; `size` bytes of bits follow
/// it.
struct DirtyBitmap {
    std::uint64_t page_size;
    std::uint64_t size;
};
static_assert(sizeof(DirtyBitmap) == 16);

/// Section "VFIO_USER_DEVICE_GET_INFO".
struct DeviceInfo {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t num_regions;
    std::uint32_t num_irqs;
};
static_assert(sizeof(DeviceInfo) == 16);

/// Section "VFIO_USER_DEVICE_GET_REGION_IO_FDS"; the request, the reply before its sub-regions, and one of these.
struct RegionIoFds {
    std::uint32_t argsz;
    std::uint32_t flags;
    std::uint32_t index;
    std::uint32_t count;
};
struct SubRegionIoFd {
    std::uint64_t offset;
    std::uint64_t size; ///< of the write; 0: of any size
    std::uint32_t fd_index;
    std::uint32_t type;
    std::uint32_t flags;
    std::uint32_t padding;
    std::uint64_t datamatch;
};
static_assert(sizeof(RegionIoFds) == 16 && sizeof(SubRegionIoFd) == 40);
inline constexpr std::uint32_t kIoFdTypeIoEventFd = 0, kIoFdDataMatch = 1 << 0;

/// Sections "VFIO_USER_REGION_READ" and "VFIO_USER_REGION_WRITE", before the data.
struct RegionAccess {
    std::uint64_t offset;
    std::uint32_t region;
    std::uint32_t count;
};
static_assert(sizeof(RegionAccess) == 16);

/// Sections "VFIO_USER_DMA_READ" and "VFIO_USER_DMA_WRITE", before the data.
struct DmaAccess {
    std::uint64_t address;
    std::uint64_t count;
};
static_assert(sizeof(DmaAccess) == 16);

/// Section "VFIO_USER_REGION_WRITE_MULTI": a 64-bit count, and so many of these.
struct MultiWrite {
    std::uint64_t offset;
    std::uint32_t region;
    std::uint32_t count; ///< 1 ..= 8 bytes of data
    std::uint64_t data;
};
static_assert(sizeof(MultiWrite) == 24);

/// Section "VFIO_USER_DEVICE_FEATURE", before the feature's data, and what that is.
struct DeviceFeature {
    std::uint32_t argsz;
    std::uint32_t flags;
};
struct MigrationDeviceState {
    std::uint32_t device_state;
    std::uint32_t data_fd; ///< unused
};
struct DmaLoggingStart {
    std::uint64_t page_size;
    std::uint32_t num_ranges; ///< 0: everything
    std::uint32_t reserved;
};
struct DmaLoggingRange {
    std::uint64_t iova;
    std::uint64_t length;
};
struct DmaLoggingReport {
    std::uint64_t iova;
    std::uint64_t length;
    std::uint64_t page_size;
};
static_assert(sizeof(DeviceFeature) == 8 && sizeof(MigrationDeviceState) == 8 && sizeof(DmaLoggingStart) == 16 &&
              sizeof(DmaLoggingRange) == 16 && sizeof(DmaLoggingReport) == 24);

/// Sections "VFIO_USER_MIG_DATA_READ" and "VFIO_USER_MIG_DATA_WRITE", before the data.
struct MigrationData {
    std::uint32_t argsz;
    std::uint32_t size;
};
static_assert(sizeof(MigrationData) == 8);

} // namespace touka::spec::vfio_user
