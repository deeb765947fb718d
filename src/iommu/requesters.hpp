#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "iommu/invalidation.hpp"
#include "iommu/remapped_space.hpp"

namespace touka::iommu {

/// The spaces behind one unit. Shared ownership: an invalidation goes through them while a function is unplugged.
/// Any thread; its lock is held for the list alone, so that a space may be told while another is added.
class Requesters {
public:
    explicit Requesters(TranslationRoot& root) : root_(root) {}

    [[nodiscard]] std::shared_ptr<RemappedSpace> add(RequesterId requester);
    void remove(const std::shared_ptr<RemappedSpace>& space);
    /// Null when nobody has that ID.
    [[nodiscard]] std::shared_ptr<RemappedSpace> find(RequesterId requester) const;

    /// @param done called once, perhaps before this returns, when no access by what was forgotten is under way.
    void invalidate(const Invalidation& invalidation, std::function<void()> done);
    void translation_changed(std::function<void()> done);

private:
    using List = std::vector<std::shared_ptr<RemappedSpace>>;
    [[nodiscard]] List list() const;

    TranslationRoot& root_;
    mutable std::mutex mutex_; // guards the list
    List spaces_;
};

} // namespace touka::iommu
