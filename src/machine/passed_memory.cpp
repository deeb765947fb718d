#include "machine/passed_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "devices/passthrough/passthrough_function.hpp"

namespace touka::machine {

using devices::passthrough::DeviceTransport;
using devices::passthrough::TransportError;

std::unique_ptr<PassedMemory> PassedMemory::grant(std::string name, DeviceTransport& transport,
                                                  const memory::GuestMemory& memory, FunctionPaths::Path& path) {
    std::unique_ptr<PassedMemory> granted(new PassedMemory(std::move(name), transport, memory, path));
    const bool taken = path.is_remapped()
                           ? path.shadow(*granted,
                                         [all = granted.get()](std::uint64_t address) {
                                             fmt::print(stderr,
                                                        "touka: {}: it does not reach all that the guest maps for it, "
                                                        "from {:#x} on: it takes no more "
                                                        "mappings\n",
                                                        all->name_, address);
                                         })
                           : devices::passthrough::grant_all_memory(transport, memory).has_value();
    return taken ? std::move(granted) : nullptr;
}

PassedMemory::~PassedMemory() { (void)path_.end_shadow(); }

void PassedMemory::take_back() {
    if (!path_.is_remapped()) return devices::passthrough::take_back_all_memory(transport_, memory_);
    for (const iommu::Mapping& each : path_.end_shadow()) {
        if (!transport_.unmap_dma(memory::Iova{each.iova}, each.length_bytes)) return; // it has gone
    }
}

bool PassedMemory::map(const iommu::Mapping& mapping) {
    const auto range = std::ranges::find_if(memory_.ranges(), [&](const memory::RamRange& each) {
        return mapping.guest - each.start.value < each.length_bytes;
    });
    return transport_
        .map_dma({.start = memory::Iova{mapping.iova},
                  .length_bytes = mapping.length_bytes,
                  .file = memory_.fd(),
                  .file_offset = range->file_offset + (mapping.guest - range->start.value),
                  .readable = mapping.read,
                  .writable = mapping.write})
        .has_value();
}

void PassedMemory::unmap(const iommu::Mapping& mapping) {
    const auto taken = transport_.unmap_dma(memory::Iova{mapping.iova}, mapping.length_bytes);
    if (taken || taken.error() == TransportError::kGone) return;
    // The guest is about to hear that nobody reaches it: a device that might must not go on.
    fmt::print(stderr, "touka: {}: it did not give back memory, and is reset\n", name_);
    (void)transport_.reset();
}

} // namespace touka::machine
