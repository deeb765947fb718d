// The translation cache of a function with Address Translation Services. (PCIe Base 5.0 chapter 10)
// Absent: page requests, PASIDs, the No Write flag of translation requests.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <mutex>
#include <span>

#include "iommu/device_tlb.hpp"
#include "iommu/remapped_space.hpp"
#include "memory/dma_space.hpp"
#include "memory/translation_cache.hpp"
#include "platform/pci/ats_capability.hpp"

namespace touka::iommu {

/// Stands between a function and its way through the unit. While the guest lets the function ask, addresses are
/// translated here, and the unit sees translated requests, which it passes if the context entry allows them; what has
/// no translation goes to it untranslated, so that it is the unit that blocks and records. Otherwise everything goes to
/// it untranslated.
///
/// Of bounded size; a hit takes no lock, a miss takes this one's and then the unit's. A use or a hold here is one of
/// the unit's space, too. An invalidation is answered when no access by what was forgotten is under way, but for holds
/// whose addresses the tables still send to the same memory. Any thread.
class AddressTranslationCache final : public memory::DmaSpace, public DeviceTlb, public platform::TranslationServices {
public:
    /// @param unit outlives it, and has nobody else that uses it; to be told with set_device_tlb.
    explicit AddressTranslationCache(RemappedSpace& unit) : DmaSpace(unit), unit_(unit) {}

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override { unit_.written(host_memory); }

    void invalidate(spec::Iova first, spec::Iova last, std::function<void()> answered) override;
    /// Empties it in any case: it may forget whenever it likes. What was kept for another requester goes so, too.
    void set_enabled(bool enabled) override;
    void forget() { set_enabled(enabled_.load()); }

    /// Translation requests so far. Any thread.
    [[nodiscard]] std::uint64_t request_count() const { return request_count_.load(std::memory_order_relaxed); }

protected:
    void begin_hold(memory::DmaHold& hold) override { unit_.hold(hold); }

private:
    using Span = std::expected<std::span<std::byte>, memory::DmaFault>;
    [[nodiscard]] Span ask(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access);

    RemappedSpace& unit_;
    memory::TranslationCache cache_;     // filled and cleared under mutex_
    std::atomic<bool> enabled_{false};   // written under mutex_
    std::atomic<bool> permitted_{false}; // written under mutex_: it is enabled, and the unit did not refuse to answer
    std::atomic<std::uint64_t> request_count_{0};
    std::mutex mutex_; // above the unit's space's
};

} // namespace touka::iommu
