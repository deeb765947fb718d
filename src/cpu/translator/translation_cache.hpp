// The translated code of one vCPU.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/interpreter/code_memory.hpp"
#include "cpu/translator/address_spaces.hpp"
#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/thunks.hpp"
#include "cpu/translator/translation_observer.hpp"
#include "cpu/translator/translation_store.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::translator {

/// What the cache has done so far, for the user.
struct CacheCounters {
    std::uint64_t blocks = 0;        ///< translated
    std::uint64_t guest_bytes = 0;   ///< of code
    std::uint64_t host_bytes = 0;    ///< made of it, without what runs rarely
    std::uint64_t links = 0;         ///< jumps linked
    std::uint64_t dropped_pages = 0; ///< because their code was written
    std::uint64_t dropped_all = 0;   ///< because memory was full
    std::uint64_t translating_ns = 0;
};

/// Blocks are found by guest physical address and mode, whatever address space they run in. When code memory is full,
/// everything is dropped and translated anew.
/// @thread its vCPU's.
class TranslationCache {
public:
    static constexpr std::size_t kDefaultCodeBytes = 48 << 20;

    /// @param observers are told of each block; they outlive this.
    TranslationCache(VcpuMemory& vcpu, AddressSpaces& spaces, const Callees& callees,
                     const TranslationObservers& observers, std::size_t code_bytes = kDefaultCodeBytes);

    /// Whether the host gave memory, such that may be executed among it.
    [[nodiscard]] bool has_memory() const {
        return code_.size_bytes() != 0 && store_.is_mapped() && tables_.is_mapped();
    }
    [[nodiscard]] const Thunks& thunks() const { return thunks_; }

    /// The block at linear address `rip`, which is `physical`, translated if need be. Valid until the next call of
    /// anything here. @return nullptr when the instruction goes on in a page that cannot be fetched from.
    [[nodiscard]] Translation* find(std::uint64_t rip, spec::GuestAddress physical, BlockMode mode,
                                    bool grouped = true);
    /// Makes jump `link` lead to its target, whose linear address is `rip`, from now on.
    void link(std::uint32_t number, std::uint64_t rip);
    /// As link(), for the jump to another page that left to `rip`, which is `physical`, from the page at `rip_base`.
    /// @return the target, or nullptr.
    Translation* link_far(std::uint32_t number, std::uint64_t rip, spec::GuestAddress physical, BlockMode mode);
    /// Generations of jumps are used anew.
    void forget_far_links() { tables_.far_links.cut_all(); }
    /// The target of a link: what page and offset to go on at.
    [[nodiscard]] const Link& link_at(std::uint32_t number) const { return tables_.links[number]; }
    /// Drops what was made of pages that were written since.
    void drop_stale();

    /// The fault site at host address `at`, valid until something is translated; or nullptr. For the signal handler:
    /// changes nothing.
    [[nodiscard]] const FaultSite* fault_site(const void* at) const;
    [[nodiscard]] const void* recovery(const FaultSite& site) const { return code_.executable() + site.recovery; }
    [[nodiscard]] const CheckSite& check(std::uint32_t number) const { return tables_.checks[number]; }
    /// Where a check is tried again.
    [[nodiscard]] const void* retry(const CheckSite& check) const { return code_.executable() + check.retry; }
    [[nodiscard]] bool contains(const void* at) const { return code_.contains(at); }

    [[nodiscard]] const CacheCounters& counters() const { return counters_; }

private:
    Translation* translate(std::uint64_t rip, spec::GuestAddress physical, BlockMode mode, bool grouped);
    /// Whether what lies behind a crossing instruction's page is what it was made from.
    [[nodiscard]] bool is_second_page_right(const Translation& t, std::uint64_t rip);
    void forget(Translation& t);
    /// The jump whose displacement is written at `site` leads to `target` from now on.
    void lead(std::uint8_t* site, const std::uint8_t* target);
    /// Copies what a block that starts at `offset` may be made of; its page is marked as code from now on.
    /// @param bytes of a page. @return the generation that the copy stands for.
    [[nodiscard]] std::uint32_t read_code(std::uint64_t page, std::uint16_t offset, std::uint8_t* bytes);
    [[nodiscard]] bool has_room() const;
    void drop_page(std::uint64_t page);
    void drop_all();
    void reset_code();

    VcpuMemory& vcpu_;
    AddressSpaces& spaces_;
    memory::GuestMemory& memory_;
    Callees callees_;
    const TranslationObservers& observers_;
    FrameOffsets offsets_;
    interpreter::CodeMemory code_;
    Thunks thunks_;
    std::unique_ptr<BlockEmitter> emitter_;
    TranslationStore store_;
    SideTables tables_;
    std::unique_ptr<GuestBlock> decoded_;
    InstructionMemo memo_;
    std::uint64_t drop_count_ = 0; ///< grows when all code was dropped
    CacheCounters counters_;
};

} // namespace touka::cpu::translator
