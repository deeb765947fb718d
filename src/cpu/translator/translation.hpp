// What a translated block is, once its code lies in memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/translator/far_links.hpp"
#include "cpu/translator/flag_recipe.hpp"
#include "cpu/translator/guest_instruction.hpp"
#include "cpu/translator/record_array.hpp"

namespace touka::cpu::translator {

/// The modes that decide what code is made of bytes.
enum class BlockMode : std::uint8_t { kSupervisor, kUser };

/// A host instruction that may fault for a reason of the guest's: what is left of the guest's instruction then.
struct FaultSite {
    std::uint32_t at = 0;         ///< offset of the host instruction from the block's code
    std::uint16_t offset = 0;     ///< of the guest's instruction in its page
    bool flags_in_eflags = false; ///< the guest's status flags
    FlagRecipe flags;             ///< if they are nowhere
    /// Code that brings the guest's registers in order and leaves, as its distance from the start of code memory; or 0,
    /// where they are in order.
    std::uint32_t recovery = 0;
};

/// The check of an access or of a group of them: what to do when the lookaside table has no right to it.
struct CheckSite {
    std::uint32_t retry = 0; ///< the check, as its distance from the start of code memory
    std::uint16_t offset = 0;
    std::uint16_t length_bytes = 0;
    bool writes = false;
    FlagRecipe flags; ///< if the guest's status flags are nowhere
    EffectiveAddress address;
};

/// A jump inside its page whose target was not translated when it was emitted.
struct Link {
    std::uint8_t* site = nullptr; ///< the 32-bit displacement, where it can be written
    std::uint64_t page = 0;       ///< guest physical page number
    std::uint16_t target = 0;     ///< offset in the page
    BlockMode mode{};
    bool grouped = true;     ///< the target is the block whose accesses are checked each for itself, if not
    bool with_flags = false; ///< the guest's status flags are in EFLAGS there
    bool backward = false;   ///< may close a loop: the target must look at requests
};

/// What code has beside it, for all blocks, one after the other.
struct SideTables {
    /// @param capacity of each, in entries.
    SideTables(std::span<FarKey> keys, std::size_t capacity)
        : links(capacity), checks(capacity), fault_sites(capacity), far_links(keys) {}

    [[nodiscard]] bool is_mapped() const {
        return links.is_mapped() && checks.is_mapped() && fault_sites.is_mapped() && far_links.is_mapped();
    }
    /// For as many entries as a block may have; FarLinks says so itself.
    [[nodiscard]] bool has_room() const {
        return std::min({links.room(), checks.room(), fault_sites.room()}) >= kMostOfABlock;
    }
    void clear() {
        links.clear();
        checks.clear();
        fault_sites.clear();
        far_links.clear();
    }

    RecordArray<Link> links;
    RecordArray<CheckSite> checks;
    RecordArray<FaultSite> fault_sites;
    FarLinks far_links;

private:
    /// Of a kind: for each instruction a few.
    static constexpr std::size_t kMostOfABlock = 1024;
};

struct Translation {
    static constexpr std::uint64_t kOnePage = ~std::uint64_t{0};
    std::uint64_t second_page = kOnePage; ///< of a lone instruction that lies on two: it is entered by address alone
    std::uint64_t page = 0;               ///< guest physical page number
    std::uint32_t generation = 0, second_generation = 0;
    std::uint16_t offset = 0;
    std::uint16_t length_bytes = 0; ///< of the guest's code
    BlockMode mode{};
    bool grouped = true; ///< accesses through one base register are checked together

    const std::uint8_t* code = nullptr; ///< executable
    std::uint32_t code_bytes = 0;
    /// Where it is entered, from `code` on: with the status flags in RegisterFile::status, or in EFLAGS.
    struct Entries {
        std::uint16_t home = 0, home_without_poll = 0, flags = 0, flags_without_poll = 0;
    } entries;
    [[nodiscard]] const std::uint8_t* entry() const { return code + entries.home; }
    std::uint32_t first_fault_site = 0, fault_site_count = 0; ///< in SideTables::fault_sites, ascending

    std::uint32_t first_far_link = FarLink::kNone; ///< of those that lead here
    Translation* next_in_bucket = nullptr;
    std::array<Translation*, 2> next_in_page{}; ///< of the first and of the second page's blocks
};

} // namespace touka::cpu::translator
