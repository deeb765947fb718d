// Where blocks are kept, and the ways to find them.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cpu/translator/translation.hpp"

namespace touka::cpu::translator {

/// Blocks by what they were made from, by page, and by where their code is. Blocks stay where they are until clear();
/// those that were forgotten can only be found by their code.
/// @thread its vCPU's.
class TranslationStore {
public:
    struct Page {
        std::uint32_t generation = 0;
        Translation* first = nullptr;
    };

    /// @param capacity in blocks.
    explicit TranslationStore(std::size_t capacity) : buckets_(kBuckets), blocks_(capacity) {}

    [[nodiscard]] bool is_mapped() const { return blocks_.is_mapped(); }
    [[nodiscard]] bool has_room() const { return blocks_.room() != 0; }

    /// Keeps a block, whose code lies behind that of all others, and makes it possible to find it. @pre has_room()
    Translation& enter(const Translation& block);
    [[nodiscard]] Translation* find(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped) const;
    /// Takes back what enter() did, but for the lists of its pages.
    void forget(const Translation& t);

    [[nodiscard]] std::unordered_map<std::uint64_t, Page>& pages() { return pages_; }
    /// Calls function(Translation&) for each block of a page and forgets the page.
    void take_page(std::uint64_t page, auto&& function) {
        const auto found = pages_.find(page);
        if (found == pages_.end()) return;
        for (Translation* t = found->second.first; t != nullptr;) {
            Translation* next = t->next_in_page[t->page == page ? 0 : 1];
            function(*t);
            t = next;
        }
        pages_.erase(found);
    }
    /// The block whose code `at` is in, or nullptr.
    [[nodiscard]] const Translation* containing(const void* at) const;
    void clear();

private:
    static constexpr std::size_t kBuckets = 1 << 16;

    [[nodiscard]] static std::size_t bucket(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped);

    std::vector<Translation*> buckets_;
    RecordArray<Translation> blocks_;
    std::unordered_map<std::uint64_t, Page> pages_;
};

} // namespace touka::cpu::translator
