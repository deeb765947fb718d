// The address space of a requester whose device asks for translations and keeps them, in another process: with Address
// Translation Services below what the guest sees. It needs no CAP.CM: what is not there is not kept. (PCIe Base 5.0
// chapter 10; VT-d Rev. 4.1 §4)
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "iommu/given_translations.hpp"
#include "iommu/remapped_space.hpp"
#include "iommu/requesters.hpp"
#include "runtime/reactor.hpp"

namespace touka::iommu {

/// The device.
class CachingDevice {
public:
    virtual ~CachingDevice() = default;
    /// When it returns, the device reaches nothing by what it kept of these addresses, or has gone.
    /// @param untranslated from now on its addresses are the guest's, so that it asks for nothing. At first they are
    /// not; with a change, all addresses are named.
    virtual void forget(std::span<const Extent> extents, bool untranslated) = 0;
};

/// Answers by the tables as they are when it is asked, with all that is mapped around: drivers map from one region, and
/// each question costs more than what it is about. An invalidation is compared with what was given: the device is told
/// of what is not so any more, by a thread of this object's own, and then the invalidation is answered. One that takes
/// away nothing that was given is answered at once.
///
/// Any thread; its lock is taken alone.
class CachingRequester final : public TableFollower {
public:
    /// What is around a question: as one page of entries has it.
    static constexpr std::uint64_t kWindowBytes = std::uint64_t{1} << GivenTranslations::kWindowShift;

    /// @param device outlives close().
    CachingRequester(TranslationRoot& root, RequesterId requester, CachingDevice& device);
    ~CachingRequester() override;

    /// @param iova, length_bytes whole pages of 4 KiB, kWindowBytes at most.  @return what of the windows that they lie
    /// in is mapped: whole pages of RAM, disjoint, 1024 at most.
    [[nodiscard]] std::vector<Mapping> translate(std::uint64_t iova, std::uint64_t length_bytes);

    /// The place on the bus changed.
    void set_requester(RequesterId requester);
    void invalidate(const Invalidation& invalidation, std::function<void()> done) override;
    void translation_changed(std::function<void()> done) override;
    /// From now on nothing is translated, the device is not told anything, and every invalidation is answered at once:
    /// it is being taken away, with all that it has. Not on this object's own thread.
    void close();

    /// How often the device was told to forget something. Any thread.
    [[nodiscard]] std::uint64_t told_count() const { return told_count_.load(std::memory_order_relaxed); }

private:
    struct Change {
        std::vector<Extent> extents; ///< what the device has to forget; nothing: it is being told already
        std::function<void()> done;
    };
    // @pre for these: mutex_ is held.
    [[nodiscard]] std::vector<Mapping> look(const Extent& extent) const;
    [[nodiscard]] bool is_untranslated() const;
    [[nodiscard]] bool concerns(const Invalidation& invalidation) const;
    [[nodiscard]] std::vector<Extent> all_stale();
    /// @return false: there is nothing to wait for.
    bool enqueue(std::vector<Extent> extents, std::function<void()>& done);
    // On its thread.
    void work();

    TranslationRoot& root_;
    CachingDevice& device_;
    std::atomic<std::uint64_t> told_count_{0};

    mutable std::mutex mutex_; // guards what follows
    RequesterId requester_;
    GivenTranslations given_;
    bool untranslated_ = false;
    bool closed_ = false, telling_ = false;
    std::vector<Change> changes_;
    std::unique_ptr<runtime::Reactor> thread_;
};

} // namespace touka::iommu
