// Memory as one requester sees it through a remapping unit. (VT-d Rev. 4.1 §3.2 to §3.7)
// Absent: targets other than RAM. What the tables send to another device's registers or to the interrupt range is
// blocked at the access, as by a root complex that does not forward it; the unit has no fault for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "iommu/device_tlb.hpp"
#include "iommu/fault_log.hpp"
#include "iommu/invalidation.hpp"
#include "iommu/requester_id.hpp"
#include "iommu/table_walker.hpp"
#include "memory/dma_space.hpp"
#include "memory/translation_cache.hpp"

namespace touka::iommu {

/// What all requesters of a unit share. Any thread; the atomics are written by the unit, whose spaces are told after.
struct TranslationRoot {
    memory::GuestMemory& memory;
    TableWalker walker;
    FaultLog& faults;
    std::atomic<bool> enabled{false};    ///< GCMD.TE
    std::atomic<std::uint64_t> table{0}; ///< RTADDR as it was taken last
};

/// Identity while translation is off; then root table, context entry, second-level table. A hit of the cache takes no
/// lock; a walk takes the space's, so that an invalidation comes before or after all of it. A hold delays an
/// invalidation only when the tables no longer have what it holds, so that requests that take long stop nobody. Any
/// thread.
class RemappedSpace final : public memory::DmaSpace {
public:
    /// @param root outlives it.
    RemappedSpace(TranslationRoot& root, RequesterId requester);

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override { identity_.written(host_memory); }

    /// The place on the bus changed: a bridge got another bus number.
    void set_requester(RequesterId requester);
    [[nodiscard]] RequesterId requester() const { return RequesterId{requester_.load(std::memory_order_relaxed)}; }

    /// What the device keeps translations in itself, or null; outlives this space.
    void set_device_tlb(DeviceTlb* device_tlb) { device_tlb_.store(device_tlb, std::memory_order_release); }
    [[nodiscard]] DeviceTlb* device_tlb() const { return device_tlb_.load(std::memory_order_acquire); }
    /// A translation request of the device's. (PCIe Base 5.0 §10.2.2)
    [[nodiscard]] std::expected<AtsTranslation, AtsStatus> translation_request(memory::Iova address);
    /// An access of the device's by an address that translation_request gave.
    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translated(spec::GuestAddress address, std::uint64_t length_bytes, memory::DmaAccess access);
    /// The same without a lock.  @pre there is RAM.  @return null: `translated` says what of it.
    [[nodiscard]] std::byte* translated_at_once(spec::GuestAddress address) const {
        return passes_translated_.load(std::memory_order_acquire) ? root_.memory.base() + address.value : nullptr;
    }
    [[nodiscard]] const memory::GuestMemory& memory() const { return root_.memory; }
    /// Waits for accesses under way, and for the holds of those of these addresses that the tables have no longer.
    /// @param done called once, perhaps before this returns.
    void when_unused(std::uint64_t first, std::uint64_t last, std::function<void()> done);

    // The unit's side. @param done as of DmaSpace::revoked: when no access by what is forgotten is under way.
    /// TranslationRoot::enabled changed.
    void translation_changed(std::function<void()> done);
    /// Forgets what the invalidation names, or finds that it is none of its business: then done() at once.
    void invalidate(const Invalidation& invalidation, std::function<void()> done);
    /// How often tables were walked. Any thread.
    [[nodiscard]] std::uint64_t walk_count() const { return walk_count_.load(std::memory_order_relaxed); }

protected:
    void begin_hold(memory::DmaHold& hold) override { begin_hold_in(holds_, hold); }

private:
    enum class Mode : std::uint8_t {
        kIdentity,    ///< translation is off
        kRemapped,    ///< by the tables; also when the context entry is not known
        kPassThrough, ///< the context entry says so
    };
    using Span = std::expected<std::span<std::byte>, memory::DmaFault>;

    [[nodiscard]] Span translate_slowly(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access);
    [[nodiscard]] bool lost_any(const memory::DmaHold& hold, std::uint64_t first, std::uint64_t last);
    // @pre for these: mutex_ is held.
    [[nodiscard]] bool lost(const memory::DmaHold::Range& range);
    [[nodiscard]] std::expected<Context, RemappingFault> context();
    [[nodiscard]] std::expected<Translation, RemappingFault> walk(std::uint64_t address);
    void forget_context();
    void forget(const Invalidation& invalidation);
    [[nodiscard]] bool concerns(const Invalidation& invalidation) const;

    void report(const RemappingFault& fault, std::uint64_t address, memory::DmaAccess access,
                spec::vtd::AddressType type);

    TranslationRoot& root_;
    memory::IdentityDmaSpace identity_;
    std::atomic<std::uint16_t> requester_;       // written under mutex_
    std::atomic<Mode> mode_;                     // written under mutex_
    std::atomic<bool> passes_translated_{false}; // written under mutex_: the context entry says so
    memory::TranslationCache cache_;             // filled and cleared under mutex_
    std::atomic<DeviceTlb*> device_tlb_{nullptr};
    std::atomic<std::uint64_t> walk_count_{0};
    memory::DmaHolds holds_;         // whose lock is above mutex_
    std::mutex mutex_;               // above the fault log's
    std::optional<Context> context_; // guarded by it: the context cache
    unsigned greatest_shift_ =
        memory::TranslationCache::kSmallShift; // guarded by it: of all pages that were ever walked to
};

} // namespace touka::iommu
