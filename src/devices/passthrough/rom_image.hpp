// What a passed-through function's expansion ROM holds.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <vector>

#include "devices/passthrough/device_transport.hpp"

namespace touka::devices::passthrough {

/// All of the device's own ROM, read once: devices do not let it be read at any time.
/// @pre nobody uses the device: it decodes its memory meanwhile.
/// @return empty: it has none; or why it cannot be read.
[[nodiscard]] std::expected<std::vector<std::byte>, std::string> read_device_rom(DeviceTransport& transport);

/// A file's, of 1 byte to 16 MiB. (PCI Local Bus 3.0 §6.2.5.2)
[[nodiscard]] std::expected<std::vector<std::byte>, std::string> read_rom_file(const std::string& path);

} // namespace touka::devices::passthrough
