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
        lists_.spaces.push_back(space);
    }
    space->translation_changed([] {}); // it may have changed before the space was in the list
    return space;
}

void Requesters::remove(const std::shared_ptr<RemappedSpace>& space) {
    const std::scoped_lock lock(mutex_);
    std::erase(lists_.spaces, space);
}

void Requesters::add(std::shared_ptr<TableFollower> follower) {
    const std::scoped_lock lock(mutex_);
    lists_.followers.push_back(std::move(follower));
}

void Requesters::remove(const std::shared_ptr<TableFollower>& follower) {
    const std::scoped_lock lock(mutex_);
    std::erase(lists_.followers, follower);
}

Requesters::Lists Requesters::lists() const {
    const std::scoped_lock lock(mutex_);
    return lists_;
}

std::shared_ptr<RemappedSpace> Requesters::find(RequesterId requester) const {
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::ranges::find(lists_.spaces, requester, [](const auto& space) { return space->requester(); });
    return found == lists_.spaces.end() ? nullptr : *found;
}

void Requesters::invalidate(const Invalidation& invalidation, std::function<void()> done) {
    const Lists all = lists();
    const auto part = after(all.spaces.size() + all.followers.size() + 1, std::move(done));
    for (const auto& space : all.spaces) space->invalidate(invalidation, part);
    for (const auto& follower : all.followers) follower->invalidate(invalidation, part);
    part();
}

void Requesters::translation_changed(std::function<void()> done) {
    const Lists all = lists();
    const auto part = after(all.spaces.size() + all.followers.size() + 1, std::move(done));
    for (const auto& space : all.spaces) space->translation_changed(part);
    for (const auto& follower : all.followers) follower->translation_changed(part);
    part();
}

void Requesters::root_table_taken() {
    for (const auto& follower : lists().followers) follower->translation_changed([] {});
}

} // namespace touka::iommu
