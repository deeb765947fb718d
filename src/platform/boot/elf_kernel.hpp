#pragma once

#include "platform/boot/kernel_loader.hpp"

namespace touka::platform::boot {

/// Loads an x86-64 ELF executable at its physical addresses. With a XEN_ELFNOTE_PHYS32_ENTRY note it is entered in
/// 32-bit protected mode with an hvm_start_info (Xen docs/misc/pvh.pandoc), else at e_entry in 64-bit mode with a Linux
/// zero page, as Linux's vmlinux expects it.
/// @pre memory holds kSmallestMemory bytes.
[[nodiscard]] std::expected<LoadedKernel, BootError> load_elf_kernel(const memory::GuestMemory& memory,
                                                                     const PlatformLayout& layout, const Image& kernel,
                                                                     const Image* initrd,
                                                                     const BootParameters& parameters);

} // namespace touka::platform::boot
