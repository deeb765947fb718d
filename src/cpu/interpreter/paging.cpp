#include "cpu/interpreter/paging.hpp"

#include <array>
#include <atomic>

#include "cpu/interpreter/processor.hpp"
#include "cpu/interpreter/rehearsal.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;
using Vendor = ProcessorModel::Vendor;

namespace {

/// A paging-structure entry that the walk went through, to set its accessed bit when the access is allowed.
struct Step {
    std::uint64_t address = 0;
    std::uint64_t entry = 0;
};

/// What a walk found. `rights` are RW and US of all levels together.
struct Walk {
    std::array<Step, 4> steps{};
    unsigned step_count = 0;
    std::uint64_t rights = page_entry::RW | page_entry::US;
    bool no_execute = false;
    std::uint64_t frame = 0;
    std::uint64_t page_bytes = 0;

    void add(std::uint64_t address, std::uint64_t entry) {
        steps[step_count++] = {address, entry};
        rights &= entry;
        no_execute |= (entry & page_entry::NX) != 0;
    }
    [[nodiscard]] std::uint64_t leaf() const { return steps[step_count - 1].entry; }
    [[nodiscard]] bool user_page() const { return (rights & page_entry::US) != 0; }
};

enum class WalkResult { kMapped, kNotPresent, kReserved };

/// A table outside of RAM reads as all ones, as from a bus where nobody answers: present, with reserved bits set
/// (or, where no bit is reserved, a page at the top of the address space).
template <class Entry>
[[nodiscard]] std::uint64_t load_entry(const Processor& p, std::uint64_t address) {
    const spec::GuestAddress at{address};
    if (!p.memory.is_ram(at)) return Entry(~Entry{0});
    if (p.rehearsal != nullptr && p.rehearsal->holds(at, sizeof(Entry))) p.rehearsal->give_up();
    return std::atomic_ref(*reinterpret_cast<Entry*>(p.memory.base() + address)).load(std::memory_order_relaxed);
}

/// Levels of four-level and PAE paging from `level` down. Level 3 is the PML4, 0 the page table.
[[nodiscard]] WalkResult walk_levels(const Processor& p, std::uint64_t linear, std::uint64_t table, int level,
                                     std::uint64_t always_reserved, Walk& walk) {
    // Bit 8 of PML4Es and of PDPEs that point to tables must be zero on AMD processors. (APM vol. 2 figures 5-18, 5-19)
    const std::uint64_t upper_reserved = p.model.vendor == Vendor::kAmd ? page_entry::G : 0;
    for (;; --level) {
        const unsigned shift = 12 + 9 * static_cast<unsigned>(level);
        const std::uint64_t address = table + ((linear >> shift) & 0x1FF) * 8;
        const std::uint64_t entry = load_entry<std::uint64_t>(p, address);
        if ((entry & page_entry::P) == 0) return WalkResult::kNotPresent;
        const bool large = level > 0 && (entry & page_entry::PS) != 0;
        std::uint64_t reserved = always_reserved;
        if (level == 3) reserved |= page_entry::PS | upper_reserved;
        if (level == 2 && large) reserved |= p.model.gigabyte_pages ? page_entry::kReserved1G : page_entry::PS;
        if (level == 2 && !large) reserved |= upper_reserved;
        if (level == 1 && large) reserved |= page_entry::kReserved2M;
        if ((entry & reserved) != 0) return WalkResult::kReserved;
        walk.add(address, entry);
        if (level == 0 || large) {
            walk.page_bytes = std::uint64_t{1} << shift;
            walk.frame = entry & page_entry::kAddress & ~(walk.page_bytes - 1);
            return WalkResult::kMapped;
        }
        table = entry & page_entry::kAddress;
    }
}

[[nodiscard]] WalkResult walk_long(const Processor& p, std::uint64_t linear, Walk& walk) {
    std::uint64_t reserved = p.model.reserved_address_bits;
    if ((p.msr.efer & efer::NXE) == 0) reserved |= page_entry::NX;
    return walk_levels(p, linear, p.cr3 & page_entry::kAddress, 3, reserved, walk);
}

/// The four PDPTEs are read at each walk, as AMD processors do; Intel's load them with CR3. (APM vol. 2 §5.2.3)
[[nodiscard]] WalkResult walk_pae(const Processor& p, std::uint64_t linear, Walk& walk) {
    const std::uint64_t address_reserved = p.model.reserved_address_bits | page_entry::kHighIgnored;
    const std::uint64_t pointer = load_entry<std::uint64_t>(p, (p.cr3 & cr3::kPaeAddress) + ((linear >> 30) & 3) * 8);
    if ((pointer & page_entry::P) == 0) return WalkResult::kNotPresent;
    if ((pointer & (address_reserved | page_entry::NX | page_entry::kReservedPaePdpte)) != 0)
        return WalkResult::kReserved;
    std::uint64_t reserved = address_reserved;
    if ((p.msr.efer & efer::NXE) == 0) reserved |= page_entry::NX;
    return walk_levels(p, linear, pointer & page_entry::kAddress, 1, reserved, walk);
}

[[nodiscard]] WalkResult walk_legacy(const Processor& p, std::uint64_t linear, Walk& walk) {
    const std::uint64_t directory = (p.cr3 & cr3::kLegacyAddress) + ((linear >> 22) & 0x3FF) * 4;
    const std::uint64_t pde = load_entry<std::uint32_t>(p, directory);
    if ((pde & page_entry::P) == 0) return WalkResult::kNotPresent;
    if ((pde & page_entry::PS) != 0 && (p.cr4 & cr4::PSE) != 0) {
        const std::uint64_t high = (pde & page_entry::kPse36High) << page_entry::kPse36Shift;
        if ((pde & page_entry::kReserved4M) != 0 || (high & p.model.reserved_address_bits) != 0)
            return WalkResult::kReserved;
        walk.add(directory, pde);
        walk.page_bytes = std::uint64_t{4} << 20;
        walk.frame = high | (pde & page_entry::kAddress4M);
        return WalkResult::kMapped;
    }
    walk.add(directory, pde);
    const std::uint64_t address = (pde & cr3::kLegacyAddress) + ((linear >> 12) & 0x3FF) * 4;
    const std::uint64_t pte = load_entry<std::uint32_t>(p, address);
    if ((pte & page_entry::P) == 0) return WalkResult::kNotPresent;
    walk.add(address, pte);
    walk.page_bytes = spec::kPageSize;
    walk.frame = pte & cr3::kLegacyAddress;
    return WalkResult::kMapped;
}

/// EFLAGS.AC lifts SMAP for explicit supervisor accesses; those that the processor makes for itself while CPL 3 code
/// runs are implicit, and stay forbidden. (Intel SDM vol. 3 §4.6.1) Implicit ones of CPL 0-2 count as explicit.
[[nodiscard]] bool smap_applies(const Processor& p) {
    return (p.cr4 & cr4::SMAP) != 0 && ((p.system_flags & rflags::AC) == 0 || p.cpl == 3);
}

[[nodiscard]] bool allowed(const Processor& p, const Walk& walk, AccessKind kind, bool user) {
    if (user && !walk.user_page()) return false;
    if (kind == AccessKind::kExecute) {
        if (walk.no_execute) return false;
        return user || !walk.user_page() || (p.cr4 & cr4::SMEP) == 0;
    }
    if (!user && walk.user_page() && smap_applies(p)) return false;
    if (kind == AccessKind::kRead) return true;
    return (walk.rights & page_entry::RW) != 0 || (!user && (p.cr0 & cr0::WP) == 0);
}

/// Sets the bits where they are missing. @return false when the guest changed an entry since the walk read it.
template <class Entry>
[[nodiscard]] bool set_bits(Processor& p, Step& step, std::uint64_t bits) {
    if ((step.entry & bits) == bits) return true;
    std::atomic_ref entry(*reinterpret_cast<Entry*>(p.memory.base() + step.address));
    auto expected = static_cast<Entry>(step.entry);
    if (!entry.compare_exchange_strong(expected, static_cast<Entry>(step.entry | bits))) return false;
    step.entry |= bits;
    p.memory.written(spec::GuestAddress{step.address}, sizeof(Entry));
    return true;
}

template <class Entry>
[[nodiscard]] bool set_accessed_and_dirty(Processor& p, Walk& walk, bool write) {
    for (unsigned n = 0; n < walk.step_count; ++n) {
        const bool is_leaf = n + 1 == walk.step_count;
        const std::uint64_t bits = is_leaf && write ? page_entry::A | page_entry::D : page_entry::A;
        if (!set_bits<Entry>(p, walk.steps[n], bits)) return false;
    }
    return true;
}

[[nodiscard]] std::uint32_t error_code(const Processor& p, WalkResult result, AccessKind kind, bool user) {
    std::uint32_t code = result == WalkResult::kNotPresent ? 0 : page_fault::P;
    if (result == WalkResult::kReserved) code |= page_fault::RSVD;
    if (kind == AccessKind::kWrite) code |= page_fault::W;
    if (user) code |= page_fault::U;
    const bool tells_fetches = (p.cr4 & cr4::SMEP) != 0 || ((p.cr4 & cr4::PAE) != 0 && (p.msr.efer & efer::NXE) != 0);
    if (kind == AccessKind::kExecute && tells_fetches) code |= page_fault::I;
    return code;
}

} // namespace

std::expected<Translation, std::uint32_t> translate(Processor& p, std::uint64_t linear, AccessKind kind, bool user) {
    if (!p.long_mode) linear &= 0xFFFF'FFFF;
    if ((p.cr0 & cr0::PG) == 0)
        return Translation{.physical = spec::GuestAddress{linear}, .writable = true, .executable = true};

    const bool wide_entries = p.long_mode || (p.cr4 & cr4::PAE) != 0;
    const bool write = kind == AccessKind::kWrite;
    for (;;) {
        Walk walk;
        const WalkResult result = p.long_mode    ? walk_long(p, linear, walk)
                                  : wide_entries ? walk_pae(p, linear, walk)
                                                 : walk_legacy(p, linear, walk);
        if (result != WalkResult::kMapped || !allowed(p, walk, kind, user))
            return std::unexpected(error_code(p, result, kind, user));
        // Another processor changed an entry under the walk: what was read is stale, so walk anew, as hardware does.
        if (!(wide_entries ? set_accessed_and_dirty<std::uint64_t>(p, walk, write)
                           : set_accessed_and_dirty<std::uint32_t>(p, walk, write)))
            continue;
        const bool dirty = (walk.leaf() & page_entry::D) != 0;
        return Translation{.physical = spec::GuestAddress{walk.frame | (linear & (walk.page_bytes - 1))},
                           .writable = dirty && allowed(p, walk, AccessKind::kWrite, user),
                           .executable = allowed(p, walk, AccessKind::kExecute, user),
                           .global = (p.cr4 & cr4::PGE) != 0 && (walk.leaf() & page_entry::G) != 0,
                           .page_bytes = walk.page_bytes};
    }
}

} // namespace touka::cpu::interpreter
