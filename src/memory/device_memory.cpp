#include "memory/device_memory.hpp"

#include <algorithm>

namespace touka::memory {

using spec::kPageSize;

namespace {

bool overlap(std::uint64_t a, std::uint64_t a_bytes, std::uint64_t b, std::uint64_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
}

bool is_page(std::uint64_t value) { return value % kPageSize == 0; }

} // namespace

void DeviceMemoryMap::set_listener(DeviceMemoryListener* listener) {
    const std::scoped_lock lock(mutex_);
    listener_ = listener;
}

bool DeviceMemoryMap::is_free(std::uint64_t first, std::uint64_t length_bytes) const {
    const bool over_ram = std::ranges::any_of(
        ram_, [&](const RamRange& each) { return overlap(first, length_bytes, each.start.value, each.length_bytes); });
    return !over_ram && std::ranges::none_of(mapped_, [&](const auto& each) {
        return overlap(first, length_bytes, each.first, each.second.host.size());
    });
}

bool DeviceMemoryMap::add(const DeviceMemory& memory) {
    const std::uint64_t first = memory.start.value, bytes = memory.host.size();
    const bool whole_pages =
        bytes != 0 && is_page(first) && is_page(bytes) && is_page(reinterpret_cast<std::uintptr_t>(memory.host.data()));
    if (!whole_pages || bytes > ~first) return false;
    const std::scoped_lock lock(mutex_);
    if (listener_ == nullptr || !is_free(first, bytes) || !listener_->add_device_memory(memory)) return false;
    mapped_.emplace(first, memory);
    return true;
}

void DeviceMemoryMap::remove(spec::GuestAddress start) {
    const std::scoped_lock lock(mutex_);
    const auto found = mapped_.find(start.value);
    if (found == mapped_.end()) return;
    listener_->remove_device_memory(found->second);
    mapped_.erase(found);
}

std::uint64_t DeviceMemoryMap::mapped_bytes() const {
    const std::scoped_lock lock(mutex_);
    std::uint64_t bytes = 0;
    for (const auto& [start, memory] : mapped_) bytes += memory.host.size();
    return bytes;
}

} // namespace touka::memory
