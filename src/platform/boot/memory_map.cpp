#include "platform/boot/memory_map.hpp"

#include <algorithm>

namespace touka::platform::boot {

using spec::boot::E820Type;

std::vector<MemoryMapEntry> make_memory_map(const memory::GuestMemory& memory, const PlatformLayout& layout) {
    const auto ranges = memory.ranges();
    const std::uint64_t low_end = ranges.front().length_bytes;
    std::vector<MemoryMapEntry> map{
        {{GuestAddress{0}, kConventionalMemoryEnd}, E820Type::kRam},
        {kAcpiArea, E820Type::kReserved},
        {kSmbiosArea, E820Type::kReserved},
        {{GuestAddress{kHighMemoryStart}, low_end - kHighMemoryStart}, E820Type::kRam},
    };
    // Linux refuses an ECAM window that the memory map does not keep free. (PCI Firmware Specification 3.3 §4.1.2)
    if (!layout.ecam.empty()) map.push_back({layout.ecam, E820Type::kReserved});
    for (const auto& range : ranges.subspan(1)) {
        map.push_back({{range.start, range.length_bytes}, E820Type::kRam});
    }
    std::ranges::sort(map, {}, [](const MemoryMapEntry& entry) { return entry.range.start; });
    return map;
}

} // namespace touka::platform::boot
