#include "iommu/caching_requester.hpp"

#include <algorithm>
#include <utility>

namespace touka::iommu {

using spec::vtd::Granularity;
using spec::vtd::TranslationType;

namespace {

constexpr ScanLimits kWindowLimits{.mappings = 2 * (std::size_t{1} << (GivenTranslations::kWindowShift - 12)),
                                   .tables = 16};

} // namespace

CachingRequester::CachingRequester(TranslationRoot& root, RequesterId requester, CachingDevice& device)
    : root_(root), device_(device), requester_(requester), thread_(std::make_unique<runtime::Reactor>("iommu-ats")) {
    translation_changed([] {});
}

CachingRequester::~CachingRequester() { close(); }

void CachingRequester::close() {
    std::unique_ptr<runtime::Reactor> thread;
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
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

std::vector<Mapping> CachingRequester::translate(std::uint64_t iova, std::uint64_t length_bytes) {
    const Extent window{iova & ~(kWindowBytes - 1), (iova + (length_bytes - 1)) | (kWindowBytes - 1)};
    const std::scoped_lock lock(mutex_);
    if (closed_) return {};
    auto found = look(window);
    given_.add(found);
    // A context entry that is new needs no announcement, and may say that there is nothing to ask.
    std::function<void()> done = [] {};
    if (is_untranslated() != untranslated_) (void)enqueue(all_stale(), done);
    return found;
}

std::vector<Mapping> CachingRequester::look(const Extent& extent) const {
    std::vector<Mapping> found;
    if (!root_.enabled.load()) {
        found = scan_identity(root_.memory).mappings;
    } else {
        const auto context = root_.walker.context(root_.table.load(), requester_);
        if (!context) return {};
        found = context->type == TranslationType::kPassThrough
                    ? scan_identity(root_.memory).mappings
                    : scan_table(root_.walker, root_.memory, *context, extent, kWindowLimits).mappings;
    }
    std::erase_if(found,
                  [&extent](const Mapping& each) { return each.last() < extent.first || each.iova > extent.last; });
    for (Mapping& each : found) each = each.part(extent.first, extent.last);
    return found;
}

bool CachingRequester::is_untranslated() const {
    if (!root_.enabled.load()) return true;
    const auto context = root_.walker.context(root_.table.load(), requester_);
    return context && context->type == TranslationType::kPassThrough;
}

bool CachingRequester::concerns(const Invalidation& invalidation) const {
    if (invalidation.granularity == Granularity::kGlobal) return true;
    if (invalidation.cache == Invalidation::Cache::kContext)
        // Of what there was before is told with another domain.
        return invalidation.granularity != Granularity::kSelective ||
               requester_.matches(invalidation.requester, invalidation.function_mask);
    // What was given by another context was taken away with that.
    const auto context = root_.walker.context(root_.table.load(), requester_);
    return !context || context->domain == invalidation.domain;
}

std::vector<Extent> CachingRequester::all_stale() {
    if (const bool untranslated = is_untranslated(); untranslated != untranslated_) {
        untranslated_ = untranslated;
        (void)given_.take_all();
        return {Extent{}};
    }
    return given_.take_stale({}, [this](const Extent& extent) { return look(extent); });
}

void CachingRequester::set_requester(RequesterId requester) {
    std::function<void()> done = [] {};
    const std::scoped_lock lock(mutex_);
    if (std::exchange(requester_, requester) != requester) (void)enqueue(all_stale(), done);
}

void CachingRequester::translation_changed(std::function<void()> done) {
    {
        const std::scoped_lock lock(mutex_);
        if (!closed_ && enqueue(all_stale(), done)) return;
    }
    done();
}

void CachingRequester::invalidate(const Invalidation& invalidation, std::function<void()> done) {
    {
        const std::scoped_lock lock(mutex_);
        if (!closed_ && concerns(invalidation)) {
            const Extent named = extent(invalidation);
            auto stale = invalidation.cache == Invalidation::Cache::kContext
                             ? all_stale()
                             : given_.take_stale(named, [this](const Extent& part) { return look(part); });
            if (enqueue(std::move(stale), done)) return;
        }
    }
    done();
}

bool CachingRequester::enqueue(std::vector<Extent> extents, std::function<void()>& done) {
    if (closed_) return false;
    // What is stale may have been found for an earlier one, which is under way: then it is over with that.
    if (extents.empty() && changes_.empty() && !telling_) return false;
    changes_.push_back({std::move(extents), std::move(done)});
    if (changes_.size() == 1) thread_->post([this] { work(); });
    return true;
}

void CachingRequester::work() {
    std::vector<Change> changes;
    std::vector<Extent> extents;
    bool untranslated = false, told = false;
    {
        const std::scoped_lock lock(mutex_);
        changes = std::exchange(changes_, {});
        untranslated = untranslated_;
        told = !closed_;
        telling_ = true;
    }
    for (const Change& change : changes) extents.insert(extents.end(), change.extents.begin(), change.extents.end());
    if (told && !extents.empty()) {
        told_count_.fetch_add(1, std::memory_order_relaxed);
        device_.forget(extents, untranslated);
    }
    {
        const std::scoped_lock lock(mutex_);
        telling_ = false;
    }
    for (const Change& change : changes) change.done();
}

} // namespace touka::iommu
