// The header before each frame where it is a format between processes. (Virtual I/O Device 1.2 §5.1.6)
#pragma once

#include <cstddef>
#include <cstdint>

#include "spec/virtio/network.hpp"

namespace touka::spec::virtio {

/// §5.1.6: the device says that it verified the checksum; only towards a driver with VIRTIO_NET_F_GUEST_CSUM.
inline constexpr std::uint8_t VIRTIO_NET_HDR_F_DATA_VALID = 2;

inline constexpr std::size_t kLargestMessageBytes = sizeof(NetworkHeader) + kLargestFrameBytes;
static_assert(kLargestMessageBytes == 65562);

} // namespace touka::spec::virtio
