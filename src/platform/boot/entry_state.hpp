// The boot processor's registers at a kernel's first instruction.
#pragma once

#include "cpu/cpu_state.hpp"
#include "memory/guest_memory.hpp"
#include "platform/platform_layout.hpp"

namespace touka::platform::boot {

/// 64-bit mode with the first 4 GiB mapped to themselves, flat segments, interrupts off.
/// Writes GDT and page tables into `memory` (boot_layout.hpp). (Linux boot.rst §"64-bit Boot Protocol")
/// @param argument goes to RSI: the zero page.
/// @pre memory holds kSmallestMemory bytes.
[[nodiscard]] cpu::CpuState make_long_mode_entry(const memory::GuestMemory& memory, GuestAddress entry,
                                                 GuestAddress argument);

/// 32-bit protected mode without paging, flat segments, interrupts off.
/// Writes a GDT into `memory`. (Xen docs/misc/pvh.pandoc)
/// @param argument goes to EBX: the hvm_start_info.
[[nodiscard]] cpu::CpuState make_protected_mode_entry(const memory::GuestMemory& memory, GuestAddress entry,
                                                      GuestAddress argument);

} // namespace touka::platform::boot
