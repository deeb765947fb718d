// A device that asks how its addresses translate and keeps the answers, as with Address Translation Services, below
// what the guest sees. (PCI Express Base 5.0 chapter 10)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "memory/dma_space.hpp"

namespace touka::devices::passthrough {

/// Addresses from the first to the last.
struct AddressExtent {
    std::uint64_t first = 0, last = ~std::uint64_t{0};
};

/// Pages that go on together.
struct AddressTranslation {
    memory::Iova address;
    memory::GuestAddress translated;
    std::uint64_t length_bytes = 0;
    bool readable = false, writable = false; ///< one of them at least
};

/// Who answers such a device: what stands between it and memory.
class TranslationAgent {
public:
    virtual ~TranslationAgent() = default;
    /// Called on a thread of the device's transport; waits for no device.
    /// @param first, length_bytes whole pages of 4 KiB.  @return what of them, and perhaps around them, is translated:
    /// whole pages, disjoint, kTranslationEntryLimit in all at most.
    [[nodiscard]] virtual std::vector<AddressTranslation> translate(memory::Iova first, std::uint64_t length_bytes) = 0;
};

/// The device, as its agent has it. Any thread but the transport's own.
class TranslatingDevice {
public:
    virtual ~TranslatingDevice() = default;
    /// From now on that one answers; null: nobody does, and the one before is not asked any more when this returns.
    virtual void set_agent(TranslationAgent* agent) = 0;
    /// Returns when the device has forgotten what is named and reaches nothing by it any more, or has gone.
    /// @param addresses_are_translated from now on the device's addresses are the guest's, and it asks nobody; at first
    /// they are not. Who changes that names all addresses.
    virtual void invalidate(std::span<const AddressExtent> extents, bool addresses_are_translated) = 0;
};

} // namespace touka::devices::passthrough
