#include "iommu/shadowed_requester.hpp"

#include <algorithm>
#include <utility>

namespace touka::iommu {

using spec::vtd::FaultReason;
using spec::vtd::Granularity;
using spec::vtd::TranslationType;

ShadowedRequester::ShadowedRequester(TranslationRoot& root, RequesterId requester, MappingSink& sink, Settings settings)
    : root_(root), settings_(std::move(settings)), requester_(requester.value),
      shadow_(sink, settings_.limits.mappings) {
    settings_.limits.abandoned = &closed_;
    follow_all();
    thread_ = std::make_unique<runtime::Reactor>("iommu-shadow");
}

ShadowedRequester::~ShadowedRequester() { close(); }

void ShadowedRequester::close() {
    std::unique_ptr<runtime::Reactor> thread;
    {
        const std::scoped_lock lock(mutex_);
        closed_.store(true);
        thread = std::move(thread_);
    }
    thread.reset(); // what it is doing it ends
    std::vector<Change> rest;
    {
        const std::scoped_lock lock(mutex_);
        rest = std::exchange(changes_, {});
    }
    for (const Change& change : rest) change.done();
}

void ShadowedRequester::set_requester(RequesterId requester) {
    if (requester_.exchange(requester.value) != requester.value) take({std::nullopt, [] {}});
}

void ShadowedRequester::translation_changed(std::function<void()> done) { take({std::nullopt, std::move(done)}); }

void ShadowedRequester::invalidate(const Invalidation& invalidation, std::function<void()> done) {
    take({invalidation, std::move(done)});
}

void ShadowedRequester::take(Change change) {
    {
        const std::scoped_lock lock(mutex_);
        // Of another's table it is not necessary to wait for this one's device.
        const bool concerned = unsettled_ > 0 || !change.invalidation || concerns(*change.invalidation);
        if (!closed_.load() && concerned) {
            unsettled_ += change.of_context() ? 1 : 0;
            changes_.push_back(std::move(change));
            if (changes_.size() == 1) thread_->post([this] { work(); });
            return;
        }
    }
    change.done();
}

bool ShadowedRequester::concerns(const Invalidation& invalidation) const {
    if (invalidation.cache == Invalidation::Cache::kContext) {
        if (invalidation.granularity == Granularity::kSelective)
            return RequesterId{requester_.load()}.matches(invalidation.requester, invalidation.function_mask);
        return true; // what there was before is told with another domain
    }
    if (!context_ || context_->type == TranslationType::kPassThrough) return false;
    return invalidation.granularity == Granularity::kGlobal || context_->domain == invalidation.domain;
}

void ShadowedRequester::work() {
    std::vector<Change> changes;
    {
        const std::scoped_lock lock(mutex_);
        changes = std::exchange(changes_, {});
    }
    if (!closed_.load()) follow(changes);
    {
        const std::scoped_lock lock(mutex_);
        unsettled_ -= static_cast<std::size_t>(std::ranges::count_if(changes, &Change::of_context));
    }
    for (const Change& change : changes) change.done();
}

void ShadowedRequester::follow(const std::vector<Change>& changes) {
    if (std::ranges::any_of(changes, &Change::of_context)) return follow_all();
    std::vector<Extent> extents;
    for (const Change& change : changes) {
        if (!concerns(*change.invalidation)) continue; // the context became another one meanwhile
        const Extent named = extent(*change.invalidation);
        if (std::ranges::find(extents, named) == extents.end()) extents.push_back(named);
    }
    for (const Extent& named : extents) {
        const bool pages = named != Extent{};
        follow(named, pages ? TableShadow::Joining::kAll : TableShadow::Joining::kGreatRuns);
    }
}

void ShadowedRequester::follow_all() {
    std::optional<Context> now;
    if (!root_.enabled.load()) {
        apply(scan_identity(root_.memory), TableShadow::Joining::kAll, true);
    } else if (const auto found = root_.walker.context(root_.table.load(), RequesterId{requester_.load()}); !found) {
        apply({}, TableShadow::Joining::kAll, true);
    } else {
        now = *found;
    }
    {
        const std::scoped_lock lock(mutex_);
        context_ = now;
    }
    if (!now) return;
    if (now->type == TranslationType::kPassThrough)
        return apply(scan_identity(root_.memory), TableShadow::Joining::kAll, now->faults_recorded);
    follow({}, TableShadow::Joining::kGreatRuns);
}

void ShadowedRequester::follow(const Extent& extent, TableShadow::Joining joining) {
    const Context context = *context_; // which only this thread changes
    apply(scan_table(root_.walker, root_.memory, context, shadow_.whole_pages(extent), settings_.limits), joining,
          context.faults_recorded);
}

void ShadowedRequester::apply(const ScanResult& wanted, TableShadow::Joining joining, bool recorded) {
    if (closed_.load()) return;
    const auto short_of = shadow_.update(wanted, joining);
    if (!short_of) return;
    // To the guest: an entry of its table that the unit could not use.
    if (recorded)
        root_.faults.record({.requester = RequesterId{requester_.load()},
                             .reason = FaultReason::kPagingEntryAccess,
                             .address = *short_of});
    if (shortage_count_.fetch_add(1) == 0) settings_.on_shortage(*short_of);
}

} // namespace touka::iommu
