// Virtio over PCI. (Virtual I/O Device 1.2 §4.1)
#pragma once

#include <cstddef>
#include <cstdint>

namespace touka::spec::virtio {

/// §4.1.2: PCI Device Discovery.
inline constexpr std::uint16_t kPciVendor = 0x1AF4, kPciDeviceBase = 0x1040;
inline constexpr std::uint8_t kPciRevision = 1;

/// §4.1.4: Virtio Structure PCI Capabilities: cfg_type.
enum class StructureType : std::uint8_t { kCommon = 1, kNotify = 2, kIsr = 3, kDevice = 4, kPciConfig = 5 };

/// §4.1.4: struct virtio_pci_cap; for kNotify 4 bytes follow (§4.1.4.4), for kPciConfig 4 bytes of data (§4.1.4.9).
struct PciCapability {
    std::uint8_t cap_vndr;
    std::uint8_t cap_next;
    std::uint8_t cap_len;
    std::uint8_t cfg_type;
    std::uint8_t bar;
    std::uint8_t id;
    std::uint8_t padding[2];
    std::uint32_t offset;
    std::uint32_t length;
};
static_assert(sizeof(PciCapability) == 16 && offsetof(PciCapability, offset) == 8);
inline constexpr std::uint32_t kPciConfigDataOffset = 16, kPciConfigCapabilityBytes = 20;

/// §4.1.4.3: struct virtio_pci_common_cfg, by offset; the comment is the width in bits.
enum class CommonRegister : std::uint32_t {
    device_feature_select = 0x00, // 32
    device_feature = 0x04,        // 32
    driver_feature_select = 0x08, // 32
    driver_feature = 0x0C,        // 32
    config_msix_vector = 0x10,    // 16
    num_queues = 0x12,            // 16
    device_status = 0x14,         // 8
    config_generation = 0x15,     // 8
    queue_select = 0x16,          // 16
    queue_size = 0x18,            // 16
    queue_msix_vector = 0x1A,     // 16
    queue_enable = 0x1C,          // 16
    queue_notify_off = 0x1E,      // 16
    queue_desc = 0x20,            // 64
    queue_driver = 0x28,          // 64
    queue_device = 0x30,          // 64
};
inline constexpr std::uint32_t kCommonBytes = 0x38;
inline constexpr std::uint16_t VIRTIO_MSI_NO_VECTOR = 0xFFFF;

/// §4.1.4.5: ISR status.
namespace isr {
inline constexpr std::uint8_t kQueue = 1, kConfiguration = 2;
} // namespace isr

} // namespace touka::spec::virtio
