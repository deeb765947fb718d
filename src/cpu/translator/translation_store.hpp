// Where blocks are kept, and the ways to find them.
#pragma once

#include <cstdint>
#include <memory>
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

    TranslationStore() : buckets_(kBuckets) {}

    /// A new block, whose code will lie behind that of all others.
    [[nodiscard]] Translation& make();
    /// Makes it possible to find the block. @pre page, offset, mode, grouped, generations are set.
    void enter(Translation& t);
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
    [[nodiscard]] Translation* containing(const void* at) const;
    void clear();

private:
    static constexpr std::size_t kBuckets = 1 << 16;
    static constexpr std::size_t kChunk = 1024;

    [[nodiscard]] static std::size_t bucket(std::uint64_t page, std::uint16_t offset, BlockMode mode, bool grouped);
    [[nodiscard]] Translation& at(std::size_t n) const { return chunks_[n / kChunk][n % kChunk]; }

    std::vector<Translation*> buckets_;
    std::vector<std::unique_ptr<Translation[]>> chunks_;
    std::size_t count_ = 0;
    std::unordered_map<std::uint64_t, Page> pages_;
};

} // namespace touka::cpu::translator
