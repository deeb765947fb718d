// Recently used translations from linear pages to host memory, so that most accesses cost a compare and an add.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace touka::cpu::interpreter {

/// One linear page of RAM, as data. A tag is the linear page address with the epoch in its low 12 bits when that kind
/// of access is allowed, kNone when it is not or the slot is empty.
struct TlbEntry {
    static constexpr std::uint64_t kNone = ~std::uint64_t{0};
    std::uint64_t read_tag = kNone;
    std::uint64_t write_tag = kNone;
    std::uint64_t host_minus_linear = 0;
    /// CodePages' mark of the page: looked at after each store.
    const std::atomic<std::uint8_t>* code_mark = nullptr;
};
static_assert(sizeof(TlbEntry) == 32);

/// One linear page of RAM, as code.
struct CodeTlbEntry {
    std::uint64_t tag = TlbEntry::kNone;
    std::uint64_t host_minus_linear = 0;
};

/// Whose rights the entries of a data table stand for.
enum class TlbTable : std::uint8_t {
    kSupervisor,     ///< CPL 0-2; under CR4.SMAP without the pages of user space
    kUser,           ///< CPL 3
    kSupervisorOpen, ///< CPL 0-2 under CR4.SMAP with RFLAGS.AC set: pages of user space too
    kChecked,        ///< alignment checks or breakpoints on data: always empty, so that every access is looked at
};

/// Direct-mapped. Each privilege has a table of its own, so that a ring change flushes nothing; the epoch in the tags
/// makes a flush of everything one increment.
struct Tlb {
    static constexpr std::size_t kEntryCount = 1024;
    static constexpr std::size_t kCodeEntryCount = 256;
    static constexpr std::uint64_t kPageMask = ~std::uint64_t{0xFFF};
    static constexpr std::uint64_t kLastEpoch = 0xFFE; ///< 0xFFF would look like kNone

    using Table = std::array<TlbEntry, kEntryCount>;
    using CodeTable = std::array<CodeTlbEntry, kCodeEntryCount>;

    /// Linear addresses that a flush of one page must treat as one, because some page of the guest is larger than
    /// 4 KiB: those that agree with `base` under `mask`. Kept for each half of the address space.
    struct LargePages {
        std::uint64_t base = 0;
        std::uint64_t mask = 0;
        bool any = false;
    };

    TlbEntry* data; ///< the table of the running privilege: select_tlb()
    std::uint64_t epoch = 0;
    std::array<Table, 4> tables{};
    std::array<CodeTable, 2> code{}; ///< [0] supervisor, [1] user
    std::array<LargePages, 2> large_pages{};

    Tlb() { data = tables[0].data(); }
    Tlb(const Tlb&) = delete;
    Tlb& operator=(const Tlb&) = delete;

    [[nodiscard]] Table& table(TlbTable name) { return tables[static_cast<std::size_t>(name)]; }
    [[nodiscard]] static std::size_t slot(std::uint64_t linear) { return (linear >> 12) % kEntryCount; }
    [[nodiscard]] static std::size_t code_slot(std::uint64_t linear) { return (linear >> 12) % kCodeEntryCount; }
    /// The tag of an access to [linear, linear + length_bytes). One that crosses a page gets the second page's tag,
    /// which the first page's slot never holds.
    [[nodiscard]] std::uint64_t tag(std::uint64_t linear, std::uint64_t length_bytes = 1) const {
        return ((linear + length_bytes - 1) & kPageMask) | epoch;
    }
};

} // namespace touka::cpu::interpreter
