// What answers at which address: one of these for memory-mapped I/O, one for ports.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace touka::platform {

/// A device's registers. Called on vCPU threads, several at once; the device has its own lock.
class IoHandler {
public:
    virtual ~IoHandler() = default;
    /// @param offset into the handler's range; offset + width_bytes never crosses its end.
    /// @param width_bytes 1, 2, 4 or 8.
    [[nodiscard]] virtual std::uint64_t read(std::uint64_t offset, unsigned width_bytes) = 0;
    virtual void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) = 0;
};

enum class AddressSpaceError { kOverlap, kEmpty };

/// A map from addresses to handlers that can change while vCPUs use it.
class AddressSpace {
public:
    AddressSpace();
    /// @param handler outlives its place in the map and every access that began before it was removed.
    [[nodiscard]] std::expected<void, AddressSpaceError> add(std::uint64_t first, std::uint64_t length,
                                                             IoHandler& handler);
    void remove(std::uint64_t first);

    /// Nobody there, or an access over the end of a range: reads all ones, writes vanish.
    [[nodiscard]] std::uint64_t read(std::uint64_t address, unsigned width_bytes) const;
    void write(std::uint64_t address, unsigned width_bytes, std::uint64_t value) const;

private:
    struct Range {
        std::uint64_t first, last;
        IoHandler* handler;
    };
    using Map = std::vector<Range>; // ascending, disjoint
    struct Place {
        IoHandler* handler;
        std::uint64_t offset;
    };
    [[nodiscard]] Place find(std::uint64_t address, unsigned width_bytes) const;

    // Readers look the handler up in a snapshot and call it without a lock, so that a handler may itself change the
    // map (a BAR written through the configuration space). Shared ownership keeps a snapshot alive while it is read.
    std::atomic<std::shared_ptr<const Map>> map_;
    std::mutex writers_;
};

} // namespace touka::platform
