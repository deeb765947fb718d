#pragma once

#include "platform/boot/kernel_loader.hpp"

namespace touka::platform::boot {

/// Loads a bzImage at the address that it prefers, entered in 64-bit mode.
/// (Linux boot.rst §"64-bit Boot Protocol"; protocol 2.12 or later)
/// @pre memory holds kSmallestMemory bytes.
[[nodiscard]] std::expected<LoadedKernel, BootError> load_bzimage(const memory::GuestMemory& memory,
                                                                  const PlatformLayout& layout, const Image& kernel,
                                                                  const Image* initrd,
                                                                  const BootParameters& parameters);

} // namespace touka::platform::boot
