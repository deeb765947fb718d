#include "iommu/address_translation_cache.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "iommu/cached_page.hpp"

namespace touka::iommu {

using memory::DmaAccess;
using memory::DmaFault;
using memory::Iova;

AddressTranslationCache::Span AddressTranslationCache::translate(Iova address, std::uint64_t length_bytes,
                                                                 DmaAccess access) {
    if (!permitted_.load(std::memory_order_acquire)) return unit_.translate(address, length_bytes, access);
    const auto hit = cache_.find(address.value, access);
    if (hit.length_bytes == 0) [[unlikely]]
        return ask(address, length_bytes, access);
    std::byte* const place = unit_.translated_at_once(memory::GuestAddress{hit.guest});
    if (place == nullptr) [[unlikely]]
        return ask(address, length_bytes, access);
    return std::span(place, cache_.extend(address.value, hit, length_bytes, access));
}

AddressTranslationCache::Span AddressTranslationCache::ask(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    {
        // Over question and answer: an invalidation comes before both, or finds what was kept.
        const std::scoped_lock lock(mutex_);
        request_count_.fetch_add(1, std::memory_order_relaxed);
        const auto answer = unit_.translation_request(address);
        if (!answer) {
            // Who is told so may not ask: not before something changed. (§10.2.4)
            cache_.clear();
            permitted_.store(false, std::memory_order_release);
        } else if (access == DmaAccess::kWrite ? answer->write : answer->read) {
            const std::uint64_t within = address.value & (answer->length_bytes - 1);
            const std::uint64_t bytes = std::min(length_bytes, answer->length_bytes - within);
            const auto place = unit_.translated(answer->address + within, bytes, access);
            if (!place) return std::unexpected(DmaFault{address, access});
            cache_page(cache_, unit_.memory(), address.value,
                       {.page = answer->address.value,
                        .shift = static_cast<unsigned>(std::countr_zero(answer->length_bytes)),
                        .read = answer->read,
                        .write = answer->write});
            return *place;
        }
    }
    return unit_.translate(address, length_bytes, access);
}

void AddressTranslationCache::invalidate(spec::Iova first, spec::Iova last, std::function<void()> answered) {
    {
        const std::scoped_lock lock(mutex_);
        cache_.clear_range(first.value, last.value);
        permitted_.store(enabled_.load(), std::memory_order_release);
    }
    unit_.when_unused(first.value, last.value, std::move(answered));
}

void AddressTranslationCache::set_enabled(bool enabled) {
    {
        const std::scoped_lock lock(mutex_);
        cache_.clear();
        enabled_.store(enabled);
        permitted_.store(enabled, std::memory_order_release);
    }
    revoked([] {});
}

} // namespace touka::iommu
