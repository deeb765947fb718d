// Which physical addresses the guest's kernel may use as RAM.
#pragma once

#include <vector>

#include "memory/guest_memory.hpp"
#include "platform/platform_layout.hpp"
#include "spec/boot/linux_boot.hpp"

namespace touka::platform::boot {

struct MemoryMapEntry {
    AddressWindow range;
    spec::boot::E820Type type{};
    bool operator==(const MemoryMapEntry&) const = default;
};

/// ACPI tables and the RSDP: in the area where systems look for a BIOS.
inline constexpr AddressWindow kAcpiArea{GuestAddress{0xE'0000}, 0x1'0000};
/// SMBIOS: systems without EFI scan these 64 KiB for its entry point. (DMTF DSP0134 3.5.0 §5.2.2)
inline constexpr AddressWindow kSmbiosArea{GuestAddress{0xF'0000}, 0x1'0000};
/// Conventional memory ends here; up to 1 MiB systems expect adapters and firmware, and so get no RAM there.
inline constexpr std::uint64_t kConventionalMemoryEnd = 0xA'0000;
inline constexpr std::uint64_t kHighMemoryStart = 0x10'0000;

/// RAM, the tables' areas and ECAM, ascending and disjoint.
/// @pre memory is larger than 1 MiB.
[[nodiscard]] std::vector<MemoryMapEntry> make_memory_map(const memory::GuestMemory& memory,
                                                          const PlatformLayout& layout);

} // namespace touka::platform::boot
