#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <vector>

#include "platform/address_space.hpp"
#include "platform/pci/bar_allocator.hpp"
#include "platform/pci/intx_router.hpp"
#include "platform/pci/pci_address.hpp"
#include "platform/pci/pci_function.hpp"

namespace touka::platform {

enum class PciError {
    kNoSuchPlace,     ///< there is no such bus, or no such device or function number on it
    kOccupied,        ///< another function is there
    kNoAddressesLeft, ///< a window has no room for one of its BARs
};

/// What a bus gives to those on it: pieces of its windows, and the way of their pins. Everything outlives the bus.
struct BusResources {
    AddressSpace& memory;
    AddressSpace& ports;
    IntxRouter& router;
    BarAllocator& memory32;
    BarAllocator& memory64;
    BarAllocator* io = nullptr; ///< null: no ports behind this bridge
    /// The device on the root bus whose pins those of this bus are joined with; none: the root bus.
    std::optional<std::uint8_t> port_device;
};

/// One bus and the functions on it. Under the configuration lock, but for number(): any thread.
class PciBus {
public:
    PciBus(std::uint8_t number, const BusResources& resources) : resources_(resources), number_(number) {}
    ~PciBus() { clear(); }
    PciBus(const PciBus&) = delete;
    PciBus& operator=(const PciBus&) = delete;

    /// As software numbered it.
    [[nodiscard]] std::uint8_t number() const { return number_.load(std::memory_order_acquire); }
    void renumber(std::uint8_t number) { number_.store(number, std::memory_order_release); }

    /// Assigns addresses to the function's BARs and attaches it.
    [[nodiscard]] std::expected<void, PciError> plug(std::uint8_t devfn, PciFunction& function);
    void unplug(std::uint8_t devfn);
    /// Everybody goes.
    void clear();
    /// @return null when nobody is there.
    [[nodiscard]] PciFunction* find(std::uint8_t devfn) const;
    /// The device has functions beside 0.
    [[nodiscard]] bool multi_function(std::uint8_t device) const;
    [[nodiscard]] bool empty() const { return slots_.empty(); }
    /// Calls `visit` with each function in order; that may take functions away, as a reset does with virtual ones.
    template <class Visit>
    void for_each(Visit visit) const {
        for (auto next = slots_.begin(); next != slots_.end();) {
            const std::uint8_t devfn = next->first;
            visit(*next->second.function);
            next = slots_.upper_bound(devfn);
        }
    }

    [[nodiscard]] const BusResources& resources() const { return resources_; }

private:
    struct Slot {
        PciFunction* function = nullptr;
        std::vector<std::pair<BarAllocator*, std::uint64_t>> addresses;
    };
    [[nodiscard]] BarAllocator* allocator_for(BarKind kind, std::uint64_t length_bytes) const;
    [[nodiscard]] std::optional<std::uint64_t> allocate(Slot& slot, BarKind kind, std::uint64_t length_bytes) const;
    [[nodiscard]] bool assign_addresses(Slot& slot) const;
    static void release_addresses(Slot& slot);

    BusResources resources_;
    std::atomic<std::uint8_t> number_; // pairs with requester ids, which any thread makes
    std::map<std::uint8_t, Slot> slots_;
};

} // namespace touka::platform
