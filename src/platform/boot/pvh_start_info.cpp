#include "platform/boot/pvh_start_info.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include "platform/boot/boot_layout.hpp"
#include "platform/boot/memory_map.hpp"
#include "spec/boot/pvh.hpp"

namespace touka::platform::boot {

using spec::boot::HvmMemmapTableEntry;
using spec::boot::HvmModlistEntry;
using spec::boot::HvmStartInfo;

GuestAddress write_start_info(const memory::GuestMemory& memory, const PlatformLayout& layout,
                              GuestAddress command_line, AddressWindow initrd, GuestAddress rsdp) {
    constexpr GuestAddress kModlist = kStartInfoAddress + sizeof(HvmStartInfo);
    constexpr GuestAddress kMemmap = kModlist + sizeof(HvmModlistEntry);
    std::vector<HvmMemmapTableEntry> map;
    for (const auto& [range, type] : make_memory_map(memory, layout)) {
        map.push_back({range.start.value, range.length_bytes, std::to_underlying(type), 0});
    }
    const HvmModlistEntry module{
        .paddr = initrd.start.value, .size = initrd.length_bytes, .cmdline_paddr = 0, .reserved = 0};
    const HvmStartInfo info{
        .magic = spec::boot::XEN_HVM_START_MAGIC_VALUE,
        .version = spec::boot::kHvmStartInfoVersion,
        .flags = 0,
        .nr_modules = initrd.empty() ? 0u : 1u,
        .modlist_paddr = initrd.empty() ? 0 : kModlist.value,
        .cmdline_paddr = command_line.value,
        .rsdp_paddr = rsdp.value,
        .memmap_paddr = kMemmap.value,
        .memmap_entries = static_cast<std::uint32_t>(map.size()),
        .reserved = 0,
    };
    std::memcpy(memory.span(kStartInfoAddress, sizeof info).data(), &info, sizeof info);
    std::memcpy(memory.span(kModlist, sizeof module).data(), &module, sizeof module);
    std::memcpy(memory.span(kMemmap, map.size() * sizeof map[0]).data(), map.data(), map.size() * sizeof map[0]);
    return kStartInfoAddress;
}

} // namespace touka::platform::boot
