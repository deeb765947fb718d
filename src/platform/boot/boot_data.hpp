// What kernels of every format get: the command line, the initial RAM disk, the zero page.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "platform/boot/kernel_loader.hpp"
#include "spec/boot/linux_boot.hpp"

namespace touka::platform::boot {

/// Writes the command line with a terminating zero.
/// @param limit_bytes what the kernel takes, without the zero.
/// @return where it lies; kCommandLineTooLong.
[[nodiscard]] std::expected<GuestAddress, BootError>
write_command_line(const memory::GuestMemory& memory, std::string_view command_line, std::uint64_t limit_bytes);

/// Puts the initial RAM disk as high as it may lie, so that the kernel below it has room to unpack.
/// @param kernel_end first address that the kernel does not need.
/// @param highest_byte the highest address that one of its bytes may have.
/// @return where it lies, empty without an initrd; kInitrdDoesNotFit, kUnreadable.
[[nodiscard]] std::expected<AddressWindow, BootError> load_initrd(const memory::GuestMemory& memory,
                                                                  const Image* initrd, GuestAddress kernel_end,
                                                                  std::uint64_t highest_byte);

/// Where things were put, for the zero page.
struct ZeroPageContents {
    spec::boot::SetupHeader header; ///< the kernel's own, or one made up for a kernel that has none
    GuestAddress command_line;
    AddressWindow initrd;
};

/// Writes the zero page and what hangs on it. @return its address.
GuestAddress write_zero_page(const memory::GuestMemory& memory, const PlatformLayout& layout,
                             const ZeroPageContents& contents, const BootParameters& parameters);

} // namespace touka::platform::boot
