// Devices' memory at guest addresses, which processors reach without anybody in between: mapped BARs.
// It is no RAM: no DMA space knows it, so that no device reaches another one's (peer-to-peer is absent), it has no
// dirty log, and no code is kept of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>

#include "memory/ram_range.hpp"
#include "spec/address.hpp"

namespace touka::memory {

struct DeviceMemory {
    spec::GuestAddress start;
    std::span<std::byte> host; ///< whole pages
    bool writable = true;      ///< false: stores go where accesses of what is not mapped go
};

/// Whose processors reach it: an engine that can. Any thread, one call at a time.
class DeviceMemoryListener {
public:
    virtual ~DeviceMemoryListener() = default;
    /// From now on processors reach it. @return false: they do not, and accesses go on to the bus.
    [[nodiscard]] virtual bool add_device_memory(const DeviceMemory& memory) = 0;
    /// When it returns, no processor reaches it, and no access is under way.
    virtual void remove_device_memory(const DeviceMemory& memory) = 0;
};

/// What is mapped now. Any thread; taken alone, but for what the listener does.
class DeviceMemoryMap {
public:
    /// @param ram outlives it.
    explicit DeviceMemoryMap(std::span<const RamRange> ram) : ram_(ram) {}
    ~DeviceMemoryMap() = default;
    DeviceMemoryMap(const DeviceMemoryMap&) = delete;
    DeviceMemoryMap& operator=(const DeviceMemoryMap&) = delete;

    /// One at most; null ends it. @pre nothing is mapped.
    void set_listener(DeviceMemoryListener* listener);
    /// @return false: nobody maps it, it is no whole pages, or it lies over RAM or over another device's.
    [[nodiscard]] bool add(const DeviceMemory& memory);
    /// When it returns, no processor reaches it. What is not there stays so.
    void remove(spec::GuestAddress start);
    [[nodiscard]] std::uint64_t mapped_bytes() const;

private:
    [[nodiscard]] bool is_free(std::uint64_t first, std::uint64_t length_bytes) const;

    std::span<const RamRange> ram_;
    mutable std::mutex mutex_; // before the listener's
    DeviceMemoryListener* listener_ = nullptr;
    std::map<std::uint64_t, DeviceMemory> mapped_; // disjoint
};

} // namespace touka::memory
