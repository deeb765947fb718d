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
    return granted->give() ? std::move(granted) : nullptr;
}

bool PassedMemory::give() {
    if (path_.is_remapped()) translating_ = transport_.translating();
    if (is_shadowed()) {
        return path_.shadow(*this, [this](std::uint64_t address) {
            fmt::print(stderr,
                       "touka: {}: it does not reach all that the guest maps for it, from {:#x} on: it takes no more "
                       "mappings\n",
                       name_, address);
        });
    }
    if (!devices::passthrough::grant_all_memory(transport_, memory_)) return false;
    if (translating_ == nullptr) return true;
    answers_ = &path_.answer(*this);
    translating_->set_agent(this);
    return true;
}

void PassedMemory::end_answers() {
    if (answers_ == nullptr) return;
    translating_->set_agent(nullptr);
    answers_ = nullptr;
    path_.end_caching();
}

PassedMemory::~PassedMemory() {
    (void)path_.end_shadow();
    end_answers();
}

void PassedMemory::take_back() {
    end_answers();
    if (!is_shadowed()) return devices::passthrough::take_back_all_memory(transport_, memory_);
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

void PassedMemory::forget(std::span<const iommu::Extent> extents, bool untranslated) {
    std::vector<devices::passthrough::AddressExtent> named;
    for (const iommu::Extent& each : extents) named.push_back({each.first, each.last});
    translating_->invalidate(named, untranslated);
}

std::vector<devices::passthrough::AddressTranslation> PassedMemory::translate(memory::Iova first,
                                                                              std::uint64_t length_bytes) {
    std::vector<devices::passthrough::AddressTranslation> all;
    for (const iommu::Mapping& each : answers_->translate(first.value, length_bytes))
        all.push_back(
            {memory::Iova{each.iova}, memory::GuestAddress{each.guest}, each.length_bytes, each.read, each.write});
    return all;
}

} // namespace touka::machine
