#include "cpu/translator/translation_store.hpp"

#include <algorithm>
#include <iterator>

namespace touka::cpu::translator {

std::size_t TranslationStore::bucket(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped) {
    constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15; // 2^64 / golden ratio
    const std::uint64_t key =
        page << 14 | std::uint64_t{offset} << 2 | (grouped ? 2u : 0u) | static_cast<std::uint64_t>(mode);
    return key * kMultiplier >> 48;
}

Translation& TranslationStore::enter(const Translation& block) {
    Translation& t = blocks_.push_back(block);
    Translation*& head = buckets_[bucket(t.page, t.offset, t.mode, t.grouped)];
    t.next_in_bucket = head;
    head = &t;
    const auto list = [&](std::uint64_t number, std::uint32_t generation, std::size_t which) {
        Page& page = pages_[number];
        page.generation = generation;
        t.next_in_page[which] = page.first;
        page.first = &t;
    };
    list(t.page, t.generation, 0);
    if (t.second_page != Translation::kOnePage && t.second_page != t.page) list(t.second_page, t.second_generation, 1);
    return t;
}

Translation* TranslationStore::find(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped) const {
    Translation* t = buckets_[bucket(page, offset, mode, grouped)];
    while (t != nullptr && (t->page != page || t->offset != offset || t->mode != mode || t->grouped != grouped))
        t = t->next_in_bucket;
    return t;
}

void TranslationStore::forget(const Translation& t) {
    Translation** link = &buckets_[bucket(t.page, t.offset, t.mode, t.grouped)];
    while (*link != nullptr && *link != &t) link = &(*link)->next_in_bucket;
    if (*link != nullptr) *link = t.next_in_bucket;
}

const Translation* TranslationStore::containing(const void* code) const {
    const auto* wanted = static_cast<const std::uint8_t*>(code);
    const auto blocks = blocks_.span();
    const auto behind = std::ranges::upper_bound(blocks, wanted, {}, &Translation::code);
    if (behind == blocks.begin()) return nullptr;
    const Translation& t = *std::prev(behind);
    return wanted < t.code + t.code_bytes ? &t : nullptr;
}

void TranslationStore::clear() {
    std::ranges::fill(buckets_, nullptr);
    pages_.clear();
    blocks_.clear();
}

} // namespace touka::cpu::translator
