// PVH: the 32-bit entry of an ELF kernel and the start-of-day structure that it gets.
// (Xen 4.17 docs/misc/pvh.pandoc, section "x86/HVM direct boot ABI"; xen/include/public/arch-x86/hvm/start_info.h
// version 1;
//  xen/include/public/elfnote.h)
#pragma once

#include <cstdint>

namespace touka::spec::boot {

struct HvmStartInfo {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t flags;
    std::uint32_t nr_modules;
    std::uint64_t modlist_paddr;
    std::uint64_t cmdline_paddr;
    std::uint64_t rsdp_paddr;
    std::uint64_t memmap_paddr;
    std::uint32_t memmap_entries;
    std::uint32_t reserved;
};
static_assert(sizeof(HvmStartInfo) == 56);

struct HvmModlistEntry {
    std::uint64_t paddr;
    std::uint64_t size;
    std::uint64_t cmdline_paddr;
    std::uint64_t reserved;
};
static_assert(sizeof(HvmModlistEntry) == 32);

/// Types are those of E820.
struct HvmMemmapTableEntry {
    std::uint64_t addr;
    std::uint64_t size;
    std::uint32_t type;
    std::uint32_t reserved;
};
static_assert(sizeof(HvmMemmapTableEntry) == 24);

inline constexpr std::uint32_t XEN_HVM_START_MAGIC_VALUE = 0x336E'C578; // "xEn3" with the top bit of the E set
inline constexpr std::uint32_t kHvmStartInfoVersion = 1;
inline constexpr std::uint32_t XEN_ELFNOTE_PHYS32_ENTRY = 18;

} // namespace touka::spec::boot
