// The translation cache of a served function: memory of a client that is asked how addresses translate. (PCI Express
// Base 5.0 chapter 10; docs/passthrough.md, "Translations on request")
// Absent: page requests, PASIDs, the No Write flag of translation requests.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "devices/passthrough/address_translation.hpp"
#include "devices/passthrough/vfio_user/mapped_dma_space.hpp"
#include "devices/passthrough/vfio_user/wait_allowance.hpp"
#include "memory/dma_space.hpp"
#include "memory/translation_cache.hpp"
#include "runtime/guarded.hpp"

namespace touka::devices::passthrough {

/// Pages that go on together in what the client granted.
struct TranslatedRun {
    memory::Iova address;
    memory::Iova translated;
    std::uint64_t length_bytes = 0; ///< of whole pages
    DmaRights rights;
};

/// Who is asked. Any thread; bounded in time.
class TranslationSource {
public:
    virtual ~TranslationSource() = default;
    /// @param first, length_bytes whole pages.  @return what is translated of them and perhaps around them; nothing:
    /// no answer, or one that makes no sense.
    [[nodiscard]] virtual std::optional<std::vector<TranslatedRun>> translate(memory::Iova first,
                                                                              std::uint64_t length_bytes) = 0;
};

/// Stands between a function and what its client granted. While there is a source, addresses are translated by what it
/// answered, which is kept until it is invalidated; otherwise, and when the client says so, they are those of the
/// grants. What has no translation is a fault, recorded and told to the client with the address that was used.
///
/// Of bounded size; a hit takes no lock. A miss waits for the client, one at a time, for others' sake within
/// WaitAllowance: beyond it, it is a fault at once. A use or a hold here is one of the grants' space, too. Any thread
/// translates; the rest is its owner's, one thread's.
class TranslatedDmaSpace final : public memory::DmaSpace {
public:
    /// @param granted outlives it.
    explicit TranslatedDmaSpace(MappedDmaSpace& granted) : DmaSpace(granted), granted_(granted) {}

    [[nodiscard]] std::expected<std::span<std::byte>, memory::DmaFault>
    translate(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access) override;
    void written(std::span<const std::byte> host_memory) override { granted_.written(host_memory); }
    [[nodiscard]] std::expected<void, memory::DmaFault> read(memory::Iova address, std::span<std::byte> to) override;
    [[nodiscard]] std::expected<void, memory::DmaFault> write(memory::Iova address,
                                                              std::span<const std::byte> from) override;

    /// From now on nothing is reached but by translations. @pre nothing is granted.
    void begin(std::shared_ptr<TranslationSource> source);
    /// Nobody answers any more: nothing is reached that needs a translation.
    void lose_source();
    /// Back to what it was before begin(). @pre nothing is granted.
    void end();

    using Extent = AddressExtent;
    /// @param addresses_are_translated from now on: when that is new, all is forgotten, whatever is named.
    /// @param done called once, perhaps before this returns, when no access by what was forgotten is under way. On any
    /// thread.
    void invalidate(std::vector<Extent> extents, bool addresses_are_translated, std::function<void()> done);

    /// Questions so far. Any thread.
    [[nodiscard]] std::uint64_t request_count() const { return request_count_.load(std::memory_order_relaxed); }

protected:
    void begin_hold(memory::DmaHold& hold) override { granted_.hold(hold); }

private:
    using Span = std::expected<std::span<std::byte>, memory::DmaFault>;
    [[nodiscard]] std::span<std::byte> find(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access);
    [[nodiscard]] Span ask(memory::Iova address, std::uint64_t length_bytes, memory::DmaAccess access);
    [[nodiscard]] std::optional<std::vector<TranslatedRun>> question(memory::Iova first, std::uint64_t length_bytes);
    void keep(const TranslatedRun& run);

    MappedDmaSpace& granted_;
    memory::TranslationCache cache_;      // filled and cleared under mutex_
    std::atomic<bool> translates_{false}; // written under mutex_
    std::uint64_t invalidations_ = 0;     // under mutex_: an answer that was on its way meanwhile is not kept
    std::mutex mutex_;                    // never held while somebody is asked
    runtime::Guarded<std::shared_ptr<TranslationSource>> source_;
    std::mutex asking_;                                    // one question at a time; taken before mutex_
    WaitAllowance allowance_{WaitAllowance::Clock::now()}; // under asking_
    std::atomic<std::uint64_t> request_count_{0};
};

} // namespace touka::devices::passthrough
