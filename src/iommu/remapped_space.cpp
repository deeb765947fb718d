#include "iommu/remapped_space.hpp"

#include <algorithm>
#include <utility>

#include "iommu/cached_page.hpp"

namespace touka::iommu {

using memory::DmaAccess;
using memory::DmaFault;
using memory::Iova;
using spec::vtd::AddressType;
using spec::vtd::FaultReason;
using spec::vtd::Granularity;
using spec::vtd::TranslationType;

namespace {

constexpr bool permits(const Translation& translation, DmaAccess access) {
    return access == DmaAccess::kWrite ? translation.write : translation.read;
}

constexpr std::uint64_t kEverything = ~std::uint64_t{0};

} // namespace

RemappedSpace::RemappedSpace(TranslationRoot& root, RequesterId requester)
    : root_(root), identity_(root.memory), requester_(requester.value),
      mode_(root.enabled.load() ? Mode::kRemapped : Mode::kIdentity) {}

RemappedSpace::Span RemappedSpace::translate(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    const Mode mode = mode_.load(std::memory_order_acquire);
    if (mode == Mode::kRemapped) [[likely]] {
        const auto hit = cache_.find(address.value, access);
        if (hit.length_bytes == 0) [[unlikely]]
            return translate_slowly(address, length_bytes, access);
        const std::uint64_t bytes = cache_.extend(address.value, hit, length_bytes, access);
        return std::span(root_.memory.base() + hit.guest, bytes);
    }
    auto found = identity_.translate(address, length_bytes, access);
    if (!found && mode == Mode::kPassThrough) return translate_slowly(address, length_bytes, access);
    return found;
}

std::expected<Context, RemappingFault> RemappedSpace::context() {
    if (context_) return *context_;
    auto found = root_.walker.context(root_.table.load(), requester());
    if (!found) return found; // what is not present or wrong is never kept: CM is off
    context_ = *found;
    const bool remapped = mode_.load(std::memory_order_relaxed) == Mode::kRemapped;
    passes_translated_.store(remapped && found->type == TranslationType::kAll, std::memory_order_release);
    return found;
}

std::expected<Translation, RemappingFault> RemappedSpace::walk(std::uint64_t address) {
    const auto known = context();
    if (!known) return std::unexpected(known.error());
    walk_count_.fetch_add(1, std::memory_order_relaxed);
    if (known->type == TranslationType::kPassThrough) {
        if (address >> kAddressWidth != 0)
            return std::unexpected(RemappingFault{FaultReason::kBeyondAddressWidth, known->faults_recorded});
        mode_.store(Mode::kPassThrough, std::memory_order_release);
        constexpr unsigned kShift = memory::TranslationCache::kSmallShift;
        return Translation{aligned_down(address, kShift), kShift, true, true};
    }
    const auto found = root_.walker.walk(*known, address);
    if (!found) return std::unexpected(RemappingFault{found.error(), known->faults_recorded});
    greatest_shift_ = std::max(greatest_shift_, found->shift);
    return *found;
}

RemappedSpace::Span RemappedSpace::translate_slowly(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    RemappingFault fault;
    {
        const std::scoped_lock lock(mutex_);
        if (mode_.load(std::memory_order_relaxed) == Mode::kIdentity)
            return identity_.translate(address, length_bytes, access);
        if (in_interrupt_range(address.value)) return std::unexpected(DmaFault{address, access});
        const auto found = walk(address.value);
        if (found && permits(*found, access)) {
            const std::uint64_t page_bytes = std::uint64_t{1} << found->shift;
            const std::uint64_t within = address.value & (page_bytes - 1);
            const auto span = identity_.translate(Iova{found->page + within}, page_bytes - within, access);
            if (!span) return std::unexpected(DmaFault{address, access});
            if (mode_.load(std::memory_order_relaxed) == Mode::kRemapped)
                cache_page(cache_, root_.memory, address.value, *found);
            std::uint64_t bytes = std::min<std::uint64_t>(span->size(), length_bytes);
            if (address.value < kInterruptRange) bytes = std::min(bytes, kInterruptRange - address.value);
            return span->first(bytes);
        }
        if (found) {
            const bool recorded = context_ && context_->faults_recorded;
            fault = {access == DmaAccess::kWrite ? FaultReason::kWriteNotPermitted : FaultReason::kReadNotPermitted,
                     recorded};
        } else {
            fault = found.error();
        }
    }
    report(fault, address.value, access, AddressType::kUntranslated);
    return std::unexpected(DmaFault{address, access});
}

void RemappedSpace::report(const RemappingFault& fault, std::uint64_t address, DmaAccess access, AddressType type) {
    if (fault.recorded) root_.faults.record({requester(), fault.reason, address, access, type});
}

std::expected<AtsTranslation, AtsStatus> RemappedSpace::translation_request(Iova address) {
    RemappingFault fault;
    {
        const std::scoped_lock lock(mutex_);
        // Without translation there is nobody to ask. (§4.2.2)
        if (mode_.load(std::memory_order_relaxed) == Mode::kIdentity)
            return std::unexpected(AtsStatus::kUnsupportedRequest);
        if (in_interrupt_range(address.value)) return AtsTranslation{};
        const auto known = context();
        if (known && known->type == TranslationType::kAll) {
            const auto found = walk(address.value);
            if (found && (found->read || found->write))
                return AtsTranslation{memory::GuestAddress{found->page}, std::uint64_t{1} << found->shift, found->read,
                                      found->write};
            // A page that is not there is an answer, and nothing to tell the guest of: the device may ask again.
            if (found || found.error().reason == FaultReason::kBeyondAddressWidth) return AtsTranslation{};
            fault = found.error();
        } else {
            fault = known ? RemappingFault{FaultReason::kTranslatedBlocked, known->faults_recorded} : known.error();
        }
    }
    report(fault, address.value, DmaAccess::kRead, AddressType::kTranslationRequest);
    return std::unexpected(AtsStatus::kUnsupportedRequest);
}

RemappedSpace::Span RemappedSpace::translated(spec::GuestAddress address, std::uint64_t length_bytes,
                                              DmaAccess access) {
    RemappingFault fault;
    {
        const std::scoped_lock lock(mutex_);
        if (mode_.load(std::memory_order_relaxed) == Mode::kIdentity)
            return std::unexpected(DmaFault{Iova{address.value}, access});
        const auto known = context();
        if (known && known->type == TranslationType::kAll)
            return identity_.translate(Iova{address.value}, length_bytes, access);
        fault = known ? RemappingFault{FaultReason::kTranslatedBlocked, known->faults_recorded} : known.error();
    }
    report(fault, address.value, access, AddressType::kTranslated);
    return std::unexpected(DmaFault{Iova{address.value}, access});
}

void RemappedSpace::forget_context() {
    context_.reset();
    passes_translated_.store(false, std::memory_order_release);
    cache_.clear();
    mode_.store(root_.enabled.load() ? Mode::kRemapped : Mode::kIdentity, std::memory_order_release);
}

void RemappedSpace::set_requester(RequesterId requester) {
    {
        const std::scoped_lock lock(mutex_);
        requester_.store(requester.value, std::memory_order_relaxed);
        forget_context();
    }
    revoked([] {});
}

void RemappedSpace::translation_changed(std::function<void()> done) {
    {
        const std::scoped_lock lock(mutex_);
        forget_context();
    }
    when_unused(0, kEverything, std::move(done));
}

bool RemappedSpace::concerns(const Invalidation& invalidation) const {
    if (invalidation.granularity == Granularity::kGlobal) return true;
    if (invalidation.cache == Invalidation::Cache::kContext && invalidation.granularity == Granularity::kSelective)
        return requester().matches(invalidation.requester, invalidation.function_mask);
    // Who has no context entry may have had one of that domain a moment ago, and be on the way by it still.
    return !context_ || context_->domain == invalidation.domain;
}

void RemappedSpace::invalidate(const Invalidation& invalidation, std::function<void()> done) {
    bool concerned = false;
    {
        const std::scoped_lock lock(mutex_);
        concerned = concerns(invalidation);
        if (concerned) forget(invalidation);
    }
    if (!concerned) return done();
    const auto [first, last] = extent(invalidation);
    when_unused(first, last, std::move(done));
}

void RemappedSpace::forget(const Invalidation& invalidation) {
    // Of a context entry translations by it, too: they could not be found again under the old domain.
    if (invalidation.cache == Invalidation::Cache::kContext) return forget_context();
    if (invalidation.granularity != Granularity::kSelective) return cache_.clear();
    const auto [first, last] = extent(invalidation);
    cache_.clear_range(first, last);
}

void RemappedSpace::when_unused(std::uint64_t first, std::uint64_t last, std::function<void()> done) {
    // Holds begin within uses: when those are over, each hold by an old translation is there to be seen.
    const auto then = std::make_shared<std::function<void()>>(std::move(done));
    revoked([this, first, last, then] {
        holds_.when_over([this, first, last](const memory::DmaHold& hold) { return lost_any(hold, first, last); },
                         std::move(*then));
    });
}

bool RemappedSpace::lost_any(const memory::DmaHold& hold, std::uint64_t first, std::uint64_t last) {
    const std::scoped_lock lock(mutex_);
    // Any address of a greater page stands for all of it.
    const std::uint64_t page_mask = (std::uint64_t{1} << greatest_shift_) - 1;
    first &= ~page_mask;
    last |= page_mask;
    return std::ranges::any_of(hold.ranges(), [&](const memory::DmaHold::Range& range) {
        const std::uint64_t start = range.address.value;
        return start <= last && start + (range.memory.size() - 1) >= first && lost(range);
    });
}

bool RemappedSpace::lost(const memory::DmaHold::Range& range) {
    const auto guest = static_cast<std::uint64_t>(range.memory.data() - root_.memory.base());
    if (mode_.load(std::memory_order_relaxed) == Mode::kIdentity) return guest != range.address.value;
    for (std::uint64_t done = 0; done < range.memory.size();) {
        const std::uint64_t address = range.address.value + done;
        const auto found = walk(address);
        if (!found || !permits(*found, range.access)) return true;
        const std::uint64_t within = address & ((std::uint64_t{1} << found->shift) - 1);
        if (found->page + within != guest + done) return true;
        done += (std::uint64_t{1} << found->shift) - within;
    }
    return false;
}

} // namespace touka::iommu
