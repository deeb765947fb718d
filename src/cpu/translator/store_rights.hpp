// Where a vCPU's lookaside tables let translated code store to a page of RAM.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

namespace touka::cpu::translator {

/// A slot of one of a vCPU's lookaside tables.
struct TableSlot {
    std::uint8_t table = 0; ///< below 32
    std::uint32_t slot = 0; ///< below LookasideTable::kSlots
};

/// Remembers up to two slots a page: most pages are mapped by the kernel, and by one process. Slots are cleared without
/// a word to this class, so whoever asks finds out whether they still are what they were.
/// @thread its vCPU's.
class StoreRights {
public:
    static constexpr std::size_t kRemembered = 2;

    explicit StoreRights(std::uint64_t page_count);

    /// Whether the host gave memory.
    [[nodiscard]] bool is_mapped() const { return pages_ != nullptr; }
    /// @param is_live tells of a TableSlot whether it still lets code store to the page.
    void note(std::uint64_t page, TableSlot slot, const auto& is_live) {
        Page& p = pages_[page];
        if (p[0] == kTooMany) return;
        const std::uint32_t word = pack(slot);
        std::uint32_t* room = nullptr;
        for (std::uint32_t& known : p) {
            if (known == word) return;
            if (known == 0 || !is_live(unpack(known))) room = &known;
        }
        (room != nullptr ? *room : p[0]) = room != nullptr ? word : kTooMany;
    }
    /// Calls `drop` with each slot, and forgets them. @return false: there are more than were remembered.
    [[nodiscard]] bool take(std::uint64_t page, const auto& drop) {
        const Page known = std::exchange(pages_[page], {});
        if (known[0] == kTooMany) return false;
        for (const std::uint32_t slot : known)
            if (slot != 0) drop(unpack(slot));
        return true;
    }

private:
    static constexpr std::uint32_t kTooMany = ~std::uint32_t{0}, kSlotBits = 20;
    using Page = std::array<std::uint32_t, kRemembered>;

    /// Not 0.
    static std::uint32_t pack(TableSlot s) { return 1u << 31 | std::uint32_t{s.table} << kSlotBits | s.slot; }
    static TableSlot unpack(std::uint32_t word) {
        return {static_cast<std::uint8_t>(word >> kSlotBits & 0x1F), word & ((1u << kSlotBits) - 1)};
    }

    struct Free {
        void operator()(Page* pages) const { std::free(pages); }
    };
    std::unique_ptr<Page[], Free> pages_;
};

} // namespace touka::cpu::translator
