// How a PCI function that is somewhere else is reached: in another process (vfio-user), or through the host's kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "devices/passthrough/address_translation.hpp"
#include "memory/dma_space.hpp"
#include "spec/vfio/device.hpp"

namespace touka::devices::passthrough {

enum class TransportError {
    kGone,    ///< the device is not there (any more); it may come back
    kRefused, ///< by the device, or by what carries it
};

struct InterruptDescription {
    std::uint32_t count = 0;
    std::uint32_t flags = 0; ///< VFIO_IRQ_INFO_…
};

/// A piece of the guest's memory that a device may reach.
struct MemoryGrant {
    memory::Iova start;
    std::uint64_t length_bytes = 0;
    int file = -1; ///< stays its owner's, for as long as the grant
    std::uint64_t file_offset = 0;
    bool readable = true, writable = true;
};

/// A part of a region.
struct RegionExtent {
    std::uint64_t offset = 0, length_bytes = 0;
};
/// What of a region is memory of this process, too.
struct RegionMemory {
    struct Area {
        std::uint64_t offset = 0; ///< in the region
        std::span<std::byte> bytes;
    };
    std::vector<Area> areas;
    /// What means something else there than memory, and must not be reached by it.
    std::vector<RegionExtent> holes;
    bool writable = false;
    std::shared_ptr<const void> keeper; ///< the memory is there as long as somebody has this
};

/// Told on a thread of the transport's own, between two calls of it.
class TransportListener {
public:
    virtual ~TransportListener() = default;
    /// From now on calls fail with kGone.
    virtual void device_lost() = 0;
    /// It is there again, as after power-on; it has the memory that was granted, and no interrupts.
    virtual void device_returned() = 0;
};

/// One device. Any thread but the transport's own; each call returns within a bounded time.
/// Regions and interrupt indexes have VFIO's numbers.
class DeviceTransport {
public:
    using Result = std::expected<void, TransportError>;

    virtual ~DeviceTransport() = default;
    /// At most one; null ends it, and when that returns it is not told any more.
    virtual void set_listener(TransportListener* listener) = 0;

    // What the device has does not change, also when it comes back.
    [[nodiscard]] virtual bool can_reset() const = 0;
    [[nodiscard]] virtual bool can_migrate() const = 0;
    /// 0: there is no such region.
    [[nodiscard]] virtual std::uint64_t region_bytes(std::uint32_t region) const = 0;
    [[nodiscard]] virtual InterruptDescription interrupts(std::uint32_t index) const = 0;

    /// An access to it is one of the device, while the device decodes the region. Nothing for one that is gone.
    [[nodiscard]] virtual RegionMemory region_memory(std::uint32_t region) = 0;

    /// Accesses of 1, 2, 4 or 8 bytes to BARs are one access of the device; longer ones are as it likes.
    [[nodiscard]] virtual Result read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> to) = 0;
    /// May return before the device has seen it, but not before an access that follows it.
    [[nodiscard]] virtual Result write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> from) = 0;

    /// From now on these interrupts signal these eventfds. @param events stay the caller's.
    [[nodiscard]] virtual Result set_events(std::uint32_t index, std::uint32_t start, std::span<const int> events) = 0;
    [[nodiscard]] virtual Result unmask(std::uint32_t index, std::uint32_t number) = 0;
    [[nodiscard]] virtual Result disable(std::uint32_t index) = 0;

    [[nodiscard]] virtual Result map_dma(const MemoryGrant& grant) = 0;
    /// When it returns, the device does not reach the memory any more.
    [[nodiscard]] virtual Result unmap_dma(memory::Iova start, std::uint64_t length_bytes) = 0;
    /// Null: the device asks for no translations; its addresses are those that memory was granted at. Does not change.
    [[nodiscard]] virtual TranslatingDevice* translating() { return nullptr; }

    [[nodiscard]] virtual Result reset() = 0;
    [[nodiscard]] virtual Result set_migration_state(spec::vfio::MigrationState state) = 0;
    /// All of the state. @pre the state is STOP_COPY.
    [[nodiscard]] virtual std::expected<std::vector<std::byte>, TransportError> read_state() = 0;
    /// @pre the state is RESUMING.
    [[nodiscard]] virtual Result write_state(std::span<const std::byte> state) = 0;
};

} // namespace touka::devices::passthrough
