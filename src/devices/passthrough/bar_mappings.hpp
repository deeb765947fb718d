// The parts of a function's BARs that are memory of this process: given to processors, so that they reach the device
// without leaving the guest.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <span>
#include <vector>

#include "devices/passthrough/device_transport.hpp"
#include "memory/device_memory.hpp"
#include "spec/pci/config_header.hpp"

namespace touka::devices::passthrough {

/// The whole pages of `within` that no hole touches, ascending.
[[nodiscard]] std::vector<RegionExtent> pages_without(const RegionExtent& within, std::span<const RegionExtent> holes);

/// Follows where the BARs are and whether they may be reached this way. Engines that map nothing leave it to this
/// process to load and store. Any thread.
class BarMappings {
public:
    /// @param transport outlives it.  @param processors null: none maps anything; else outlives it.
    BarMappings(DeviceTransport& transport, memory::DeviceMemoryMap* processors)
        : transport_(transport), processors_(processors) {}
    ~BarMappings() { allow(false); }
    BarMappings(const BarMappings&) = delete;
    BarMappings& operator=(const BarMappings&) = delete;

    /// What the machine answers for: pages with it are never mapped. Before anything is placed.
    void exclude(std::uint32_t bar, const RegionExtent& extent) { excluded_.at(bar).push_back(extent); }
    /// Where the BAR is; nothing: nowhere. When it returns, it is not reached at the place before.
    void place(std::uint32_t bar, std::optional<std::uint64_t> address);
    /// false: when it returns, nothing is reached; what is placed is mapped when it is allowed again. What the device
    /// has is asked for anew then.
    void allow(bool allowed);

    /// An access by this process. @return nothing, false: it is not mapped, and nothing was done.
    [[nodiscard]] std::optional<std::uint64_t> read(std::uint32_t bar, std::uint64_t offset, unsigned width_bytes);
    [[nodiscard]] bool write(std::uint32_t bar, std::uint64_t offset, unsigned width_bytes, std::uint64_t value);

    /// Bytes that processors reach by themselves: now, and at most since the start.
    [[nodiscard]] std::uint64_t mapped_bytes() const { return mapped_bytes_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t most_mapped_bytes() const { return most_mapped_bytes_.load(std::memory_order_relaxed); }

private:
    struct Piece {
        std::uint64_t offset = 0; ///< in the BAR
        std::span<std::byte> bytes;
        bool processors_reach_it = false;
    };
    struct Bar {
        std::optional<std::uint64_t> address;
        std::vector<Piece> pieces; ///< empty: not mapped
        bool writable = false;
        std::shared_ptr<const void> keeper; ///< of the pieces' memory
    };
    void map(std::uint32_t bar);
    void unmap(Bar& bar);
    [[nodiscard]] std::byte* find(const Bar& bar, std::uint64_t offset, unsigned width_bytes) const;

    DeviceTransport& transport_;
    memory::DeviceMemoryMap* processors_;
    std::array<std::vector<RegionExtent>, spec::pci::kBarCount> excluded_;
    std::shared_mutex mutex_; // before the transport's and the map's; shared by accesses
    std::array<Bar, spec::pci::kBarCount> bars_;
    bool allowed_ = false;
    std::atomic<std::uint64_t> mapped_bytes_{0}, most_mapped_bytes_{0}; // written under mutex_
};

} // namespace touka::devices::passthrough
