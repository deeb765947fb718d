#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "iommu/invalidation.hpp"
#include "iommu/remapped_space.hpp"

namespace touka::iommu {

/// Who keeps what the tables say, and has to hear of every change.
class TableFollower {
public:
    virtual ~TableFollower() = default;
    /// Called on any thread, which does not wait. @param done called once, perhaps before this returns, when nothing is
    /// reached any more by what the tables had before.
    virtual void invalidate(const Invalidation& invalidation, std::function<void()> done) = 0;
    /// Translation went on or off, or another root table was taken.
    virtual void translation_changed(std::function<void()> done) = 0;
};

/// The spaces behind one unit, and those who follow its tables. Shared ownership: an invalidation goes through them
/// while a function is unplugged. Any thread; its lock is held for the lists alone, so that a space may be told while
/// another is added.
class Requesters {
public:
    explicit Requesters(TranslationRoot& root) : root_(root) {}

    [[nodiscard]] std::shared_ptr<RemappedSpace> add(RequesterId requester);
    void remove(const std::shared_ptr<RemappedSpace>& space);
    void add(std::shared_ptr<TableFollower> follower);
    void remove(const std::shared_ptr<TableFollower>& follower);
    /// Null when nobody has that ID.
    [[nodiscard]] std::shared_ptr<RemappedSpace> find(RequesterId requester) const;

    /// @param done called once, perhaps before this returns, when no access by what was forgotten is under way.
    void invalidate(const Invalidation& invalidation, std::function<void()> done);
    void translation_changed(std::function<void()> done);
    /// Spaces keep translations until the guest has them forgotten (§6.6); who follows the tables follows at once.
    void root_table_taken();

private:
    struct Lists {
        std::vector<std::shared_ptr<RemappedSpace>> spaces;
        std::vector<std::shared_ptr<TableFollower>> followers;
    };
    [[nodiscard]] Lists lists() const;

    TranslationRoot& root_;
    mutable std::mutex mutex_; // guards the lists
    Lists lists_;
};

} // namespace touka::iommu
