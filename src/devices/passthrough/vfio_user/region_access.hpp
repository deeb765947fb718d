// Reads and writes of a served function's regions. (vfio-user Protocol, "VFIO_USER_REGION_READ", "_WRITE")
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "platform/pci/pci_function.hpp"
#include "spec/vfio/device.hpp"

namespace touka::devices::passthrough {

/// Bytes of a region; 0: there is none with this index.
[[nodiscard]] std::uint64_t region_bytes(const platform::PciFunction& function, std::uint32_t region);

/// Reads as the widest aligned accesses that fit, lowest address first. @return EINVAL outside of the region.
[[nodiscard]] std::expected<void, int> read_region(platform::PciFunction& function, std::uint32_t region,
                                                   std::uint64_t offset, std::span<std::byte> to);
[[nodiscard]] std::expected<void, int> write_region(platform::PciFunction& function, std::uint32_t region,
                                                    std::uint64_t offset, std::span<const std::byte> from);

/// The widest access for the next bytes: a power of two that `offset` is aligned to.
[[nodiscard]] unsigned access_bytes(std::uint64_t offset, std::size_t left, unsigned widest);

} // namespace touka::devices::passthrough
