// The lookaside tables of one vCPU: one for supervisor code, two for each of the address spaces used last.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_set>
#include <utility>

#include "cpu/interpreter/translation_listener.hpp"
#include "cpu/translator/frame.hpp"
#include "cpu/translator/lookaside_table.hpp"
#include "cpu/translator/store_rights.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::translator {

/// A CR3 with its PCID names an address space; what was filled for it waits for its return, as PCIDs promise guests.
/// Filling a page for stores takes a right to it (CodePages), so there is none for pages with code: whoever stores
/// there is told that the access is refused.
/// @thread its vCPU's.
class AddressSpaces final : public interpreter::TranslationListener {
public:
    explicit AddressSpaces(VcpuMemory& vcpu);

    /// Whether all tables got address space.
    [[nodiscard]] bool is_mapped() const;

    enum class Fill { kDone, kRefused, kCrossing };
    /// Walks for the page of an access and fills the table of the running privilege.
    /// @return kRefused: a fault, a device or a store to code, for the interpreter to find out; kCrossing: the access
    /// lies on two pages.
    [[nodiscard]] Fill fill(std::uint64_t linear, std::uint32_t length_bytes, bool write);

    /// Sets what Frame and R14 must hold for the running privilege and address space.
    void select();

    /// Code at `rip` goes into the jump cache.
    void note_code(std::uint64_t rip) { code_pages_.insert(rip / spec::kPageSize); }
    /// Whether generations, of which there are 65535, began to be used a second time since the last call.
    [[nodiscard]] bool take_used_anew() { return std::exchange(used_anew_, false); }

    void all_flushed() override;
    void page_flushed(std::uint64_t linear) override;
    void address_space_changed(bool keep) override;
    void code_read(std::uint64_t page) override;

    [[nodiscard]] std::uint64_t flush_count() const { return flush_count_; }
    [[nodiscard]] std::uint64_t fill_count() const;

private:
    /// Linux uses six PCIDs a processor.
    static constexpr std::size_t kSpaces = 8;

    struct Space {
        std::uint64_t cr3 = 0;
        std::uint64_t last_use = 0;
        std::uint16_t generation = 0;
        LookasideTable user;
        LookasideTable open; ///< supervisor code with RFLAGS.AC under SMAP: pages of both
    };

    [[nodiscard]] LookasideTable& running();
    /// Jumps may be known to lead to the page of `linear`, or to one of the 2 MiB around it.
    [[nodiscard]] bool has_code(std::uint64_t linear, bool large) const;
    [[nodiscard]] std::uint8_t number_of(const LookasideTable& table) const;
    [[nodiscard]] LookasideTable& table(std::uint8_t number);
    void clear_tables();
    void new_generation(Space& space);
    [[nodiscard]] std::uint16_t next_generation();

    VcpuMemory& vcpu_;
    memory::CodePages::Holder holder_;
    StoreRights rights_;
    LookasideTable supervisor_;
    std::array<Space, kSpaces> spaces_;
    Space* space_;
    std::uint16_t supervisor_generation_ = 0;
    std::uint16_t last_generation_ = 0;
    std::uint64_t use_ = 0;
    std::uint64_t flush_count_ = 0;
    struct Sizes {
        bool large = false, huge = false; ///< 2 or 4 MiB, 1 GiB
    };
    std::array<Sizes, 2> sizes_{}; ///< pages filled since the last flush, in each half of the address space
    bool used_anew_ = false;
    std::unordered_set<std::uint64_t> code_pages_; ///< numbers of linear pages that some jump may be known to lead to
};

} // namespace touka::cpu::translator
