#include "cpu/translator/translation_store.hpp"

#include <algorithm>

namespace touka::cpu::translator {

std::size_t TranslationStore::bucket(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped) {
    constexpr std::uint64_t kMultiplier = 0x9E37'79B9'7F4A'7C15; // 2^64 / golden ratio
    const std::uint64_t key =
        page << 14 | std::uint64_t{offset} << 2 | (grouped ? 2u : 0u) | static_cast<std::uint64_t>(mode);
    return key * kMultiplier >> 48;
}

Translation& TranslationStore::make() {
    if (count_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Translation[]>(kChunk));
    Translation& t = at(count_++);
    t = {};
    return t;
}

void TranslationStore::enter(Translation& t) {
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

Translation* TranslationStore::containing(const void* code) const {
    const auto* wanted = static_cast<const std::uint8_t*>(code);
    std::size_t low = 0, high = count_; // the last that begins at or before it is in [low - 1, high)
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (at(middle).code <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return nullptr;
    Translation& t = at(low - 1);
    return wanted < t.code + t.code_bytes ? &t : nullptr;
}

void TranslationStore::clear() {
    std::ranges::fill(buckets_, nullptr);
    pages_.clear();
    count_ = 0;
}

} // namespace touka::cpu::translator
