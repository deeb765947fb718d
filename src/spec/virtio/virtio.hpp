// What all virtio devices share. (Virtual I/O Device (VIRTIO) Version 1.2, OASIS CS01, §2.1, §2.2, §5, §6)
#pragma once

#include <cstdint>

namespace touka::spec::virtio {

/// §5: Device Types.
enum class DeviceId : std::uint16_t { kNetwork = 1, kBlock = 2, kConsole = 3, kEntropy = 4, kBalloon = 5, kScsi = 8 };

/// §2.1: Device Status Field.
namespace device_status {
inline constexpr std::uint8_t ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, DEVICE_NEEDS_RESET = 64,
                              FAILED = 128;
inline constexpr std::uint8_t kDriverBits = ACKNOWLEDGE | DRIVER | DRIVER_OK | FEATURES_OK | FAILED;
} // namespace device_status

/// A feature bit as a mask. (§2.2)
constexpr std::uint64_t feature(unsigned bit) { return std::uint64_t{1} << bit; }

/// §6: Reserved Feature Bits.
inline constexpr std::uint64_t VIRTIO_F_INDIRECT_DESC = feature(28), VIRTIO_F_EVENT_IDX = feature(29),
                               VIRTIO_F_VERSION_1 = feature(32), VIRTIO_F_ACCESS_PLATFORM = feature(33);
static_assert(VIRTIO_F_VERSION_1 == 0x1'0000'0000);

} // namespace touka::spec::virtio
