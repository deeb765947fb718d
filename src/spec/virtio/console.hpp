// Console device. (Virtual I/O Device 1.2 §5.3)
#pragma once

#include <cstdint>

#include "spec/virtio/virtio.hpp"

namespace touka::spec::virtio {

/// §5.3.3: Feature bits.
inline constexpr std::uint64_t VIRTIO_CONSOLE_F_SIZE = feature(0);

/// §5.3.4: struct virtio_console_config, as far as VIRTIO_CONSOLE_F_SIZE makes it exist.
struct ConsoleConfig {
    std::uint16_t cols;
    std::uint16_t rows;
};
static_assert(sizeof(ConsoleConfig) == 4);

/// §5.3.2: Virtqueues of port 0.
inline constexpr unsigned kPort0ReceiveQueue = 0, kPort0TransmitQueue = 1;

} // namespace touka::spec::virtio
