#pragma once

#include "memory/guest_memory.hpp"
#include "platform/platform_layout.hpp"

namespace touka::platform::boot {

/// Writes hvm_start_info with the memory map and, where there is an initrd, a list of one module.
/// (Xen 4.17 start_info.h version 1)  @return its address.
GuestAddress write_start_info(const memory::GuestMemory& memory, const PlatformLayout& layout,
                              GuestAddress command_line, AddressWindow initrd, GuestAddress rsdp);

} // namespace touka::platform::boot
