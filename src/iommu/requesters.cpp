#include "iommu/requesters.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

namespace touka::iommu {

namespace {

/// Calls `done` when each of `count` parts has said so.
std::function<void()> after(std::size_t count, std::function<void()> done) {
    struct Rest {
        std::atomic<std::size_t> count;
        std::function<void()> done;
    };
    auto rest = std::make_shared<Rest>(count, std::move(done));
    return [rest = std::move(rest)] {
        if (rest->count.fetch_sub(1) == 1) rest->done();
    };
}

} // namespace

std::shared_ptr<RemappedSpace> Requesters::add(RequesterId requester) {
    auto space = std::make_shared<RemappedSpace>(root_, requester);
    {
        const std::scoped_lock lock(mutex_);
        spaces_.push_back(space);
    }
    space->translation_changed([] {}); // it may have changed before the space was in the list
    return space;
}

void Requesters::remove(const std::shared_ptr<RemappedSpace>& space) {
    const std::scoped_lock lock(mutex_);
    std::erase(spaces_, space);
}

Requesters::List Requesters::list() const {
    const std::scoped_lock lock(mutex_);
    return spaces_;
}

std::shared_ptr<RemappedSpace> Requesters::find(RequesterId requester) const {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find(spaces_, requester, [](const auto& space) { return space->requester(); });
    return found == spaces_.end() ? nullptr : *found;
}

void Requesters::invalidate(const Invalidation& invalidation, std::function<void()> done) {
    const List spaces = list();
    const auto part = after(spaces.size() + 1, std::move(done));
    for (const auto& space : spaces) space->invalidate(invalidation, part);
    part();
}

void Requesters::translation_changed(std::function<void()> done) {
    const List spaces = list();
    const auto part = after(spaces.size() + 1, std::move(done));
    for (const auto& space : spaces) space->translation_changed(part);
    part();
}

} // namespace touka::iommu
