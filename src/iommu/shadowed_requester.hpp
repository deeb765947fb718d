// The address space of a requester whose device keeps it in itself: a function of another process, or of the host. It
// asks for no translation, so that it has to be given every one before, which is what CAP.CM makes the guest tell.
// (VT-d Rev. 4.1 §6.1)
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "iommu/remapped_space.hpp"
#include "iommu/requesters.hpp"
#include "iommu/table_shadow.hpp"
#include "runtime/reactor.hpp"

namespace touka::iommu {

/// All RAM while translation is off or the context entry passes through, what the table maps while there is one, and
/// nothing otherwise. A thread of its own tells the device, in the order that the guest told of changes; those that
/// come while it does so are worked off together. An invalidation is answered when the device has been told.
///
/// Any thread; its lock is taken alone.
class ShadowedRequester final : public TableFollower {
public:
    struct Settings {
        ScanLimits limits;
        /// Said when the device first gets less than the tables say. On this object's thread.
        std::function<void(std::uint64_t address)> on_shortage = [](std::uint64_t) {};
    };
    /// Gives the device what it may have now, before it returns.
    ShadowedRequester(TranslationRoot& root, RequesterId requester, MappingSink& sink, Settings settings);
    ~ShadowedRequester() override;

    /// The place on the bus changed.
    void set_requester(RequesterId requester);
    void invalidate(const Invalidation& invalidation, std::function<void()> done) override;
    void translation_changed(std::function<void()> done) override;
    /// From now on the device is not told anything, and every invalidation is answered at once: it is being taken away,
    /// with all that it has. Not on this object's own thread.
    void close();

    /// How often the device got less than the tables say.
    [[nodiscard]] std::uint64_t shortage_count() const { return shortage_count_.load(std::memory_order_relaxed); }
    /// What the device has. @pre nothing is under way.
    [[nodiscard]] const std::map<std::uint64_t, Mapping>& mappings() const { return shadow_.mappings(); }

private:
    struct Change {
        std::optional<Invalidation> invalidation; ///< nothing: everything may have changed
        std::function<void()> done;
        [[nodiscard]] bool of_context() const {
            return !invalidation || invalidation->cache == Invalidation::Cache::kContext;
        }
    };
    void take(Change change);
    [[nodiscard]] bool concerns(const Invalidation& invalidation) const;
    // On its thread, but for the first time.
    void work();
    void follow(const std::vector<Change>& changes);
    void follow_all();
    void follow(const Extent& extent, TableShadow::Joining joining);
    void apply(const ScanResult& wanted, TableShadow::Joining joining, bool recorded);

    TranslationRoot& root_;
    Settings settings_;
    std::atomic<bool> closed_{false};
    std::atomic<std::uint64_t> shortage_count_{0};
    std::atomic<std::uint16_t> requester_;
    TableShadow shadow_; // of the thread

    mutable std::mutex mutex_; // guards what follows
    std::vector<Change> changes_;
    std::size_t unsettled_ = 0;      // changes that came and may give another context, until it is known
    std::optional<Context> context_; // whose table the device has; nothing: none. Written by the thread
    std::unique_ptr<runtime::Reactor> thread_;
};

} // namespace touka::iommu
