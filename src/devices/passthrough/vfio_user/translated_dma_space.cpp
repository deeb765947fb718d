#include "devices/passthrough/vfio_user/translated_dma_space.hpp"

#include <algorithm>
#include <utility>

#include "spec/vfio_user/address_translation.hpp"

namespace touka::devices::passthrough {

using memory::DmaAccess;
using memory::DmaFault;
using memory::Iova;
using memory::TranslationCache;

namespace {

constexpr std::uint64_t kPageBytes = std::uint64_t{1} << TranslationCache::kSmallShift;
constexpr std::uint64_t kLargeBytes = std::uint64_t{1} << TranslationCache::kLargeShift;

const TranslatedRun* run_of(const std::vector<TranslatedRun>& runs, Iova address) {
    const auto found = std::ranges::find_if(
        runs, [address](const TranslatedRun& run) { return address.value - run.address.value < run.length_bytes; });
    return found == runs.end() ? nullptr : &*found;
}

} // namespace

// --- the device's side ---

std::span<std::byte> TranslatedDmaSpace::find(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    const auto hit = cache_.find(address.value, access);
    if (hit.length_bytes == 0) [[unlikely]]
        return {};
    return granted_.find(Iova{hit.guest}, cache_.extend(address.value, hit, length_bytes, access), access);
}

TranslatedDmaSpace::Span TranslatedDmaSpace::translate(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    if (!translates_.load(std::memory_order_acquire)) return granted_.translate(address, length_bytes, access);
    const auto found = find(address, length_bytes, access);
    if (found.empty()) [[unlikely]]
        return ask(address, length_bytes, access);
    return found;
}

TranslatedDmaSpace::Span TranslatedDmaSpace::ask(Iova address, std::uint64_t length_bytes, DmaAccess access) {
    const std::scoped_lock asking(asking_);
    if (const auto found = find(address, length_bytes, access); !found.empty()) return found; // another thread's answer
    std::uint64_t invalidations = 0;
    {
        const std::scoped_lock lock(mutex_);
        invalidations = invalidations_;
    }
    const Iova first{address.value & ~(kPageBytes - 1)};
    const std::uint64_t most = spec::vfio_user::kTranslationRequestBytes - (address - first);
    const std::uint64_t end = address - first + std::min(length_bytes, most);
    const auto runs = question(first, (end + kPageBytes - 1) & ~(kPageBytes - 1));
    if (!runs) return granted_.fault(address, length_bytes, access);
    {
        const std::scoped_lock lock(mutex_);
        // One that was invalidated meanwhile may be used by who asked: whoever invalidates waits for his use. It is
        // not kept for others. (PCIe Base 5.0 §10.3)
        if (invalidations == invalidations_) std::ranges::for_each(*runs, [this](const auto& run) { keep(run); });
    }
    const TranslatedRun* const run = run_of(*runs, address);
    if (run == nullptr || !(access == DmaAccess::kWrite ? run->rights.write : run->rights.read))
        return granted_.fault(address, length_bytes, access);
    const std::uint64_t within = address - run->address;
    const auto found =
        granted_.find(run->translated + within, std::min(length_bytes, run->length_bytes - within), access);
    if (found.empty()) return granted_.fault(address, length_bytes, access);
    return found;
}

std::optional<std::vector<TranslatedRun>> TranslatedDmaSpace::question(Iova first, std::uint64_t length_bytes) {
    const auto source = *source_.lock();
    const auto began = WaitAllowance::Clock::now();
    if (!source || first.value >> TranslationCache::kAddressBits != 0 || !allowance_.may_wait(began))
        return std::nullopt;
    request_count_.fetch_add(1, std::memory_order_relaxed);
    auto runs = source->translate(first, length_bytes);
    allowance_.waited(WaitAllowance::Clock::now() - began);
    return runs;
}

void TranslatedDmaSpace::keep(const TranslatedRun& run) {
    for (std::uint64_t done = 0; done < run.length_bytes;) {
        const std::uint64_t address = run.address.value + done, translated = run.translated.value + done;
        const bool large = (address | translated) % kLargeBytes == 0 && run.length_bytes - done >= kLargeBytes;
        cache_.fill({.address = address,
                     .guest = translated,
                     .shift = large ? TranslationCache::kLargeShift : TranslationCache::kSmallShift,
                     .read = run.rights.read,
                     .write = run.rights.write});
        done += large ? kLargeBytes : kPageBytes;
    }
}

std::expected<void, DmaFault> TranslatedDmaSpace::read(Iova address, std::span<std::byte> to) {
    if (!translates_.load(std::memory_order_acquire)) return granted_.read(address, to);
    const auto held = use();
    return DmaSpace::read(address, to);
}

std::expected<void, DmaFault> TranslatedDmaSpace::write(Iova address, std::span<const std::byte> from) {
    if (!translates_.load(std::memory_order_acquire)) return granted_.write(address, from);
    const auto held = use();
    return DmaSpace::write(address, from);
}

// --- the owner's side ---

void TranslatedDmaSpace::begin(std::shared_ptr<TranslationSource> source) {
    *source_.lock() = std::move(source);
    granted_.set_holds_translated(true);
    invalidate({Extent{}}, false, [] {});
}

void TranslatedDmaSpace::lose_source() {
    *source_.lock() = nullptr;
    const std::scoped_lock lock(mutex_);
    cache_.clear();
    ++invalidations_;
}

void TranslatedDmaSpace::end() {
    *source_.lock() = nullptr;
    granted_.set_holds_translated(false);
    invalidate({Extent{}}, true, [] {});
}

void TranslatedDmaSpace::invalidate(std::vector<Extent> extents, bool addresses_are_translated,
                                    std::function<void()> done) {
    {
        const std::scoped_lock lock(mutex_);
        if (translates_.load(std::memory_order_relaxed) == addresses_are_translated) {
            translates_.store(!addresses_are_translated, std::memory_order_release);
            extents = {Extent{}};
        }
        for (const auto& [first, last] : extents) cache_.clear_range(first, last);
        ++invalidations_;
    }
    // Holds begin within uses: when those are over, each hold by an old translation is there to be seen.
    revoked([this, extents = std::move(extents), done = std::move(done)]() mutable {
        const auto affected = [extents = std::move(extents)](const memory::DmaHold& hold) {
            return std::ranges::any_of(hold.ranges(), [&](const memory::DmaHold::Range& range) {
                const std::uint64_t start = range.address.value, end = start + (range.memory.size() - 1);
                return std::ranges::any_of(
                    extents, [&](const Extent& extent) { return start <= extent.last && extent.first <= end; });
            });
        };
        granted_.when_not_held(affected, std::move(done));
    });
}

} // namespace touka::devices::passthrough
