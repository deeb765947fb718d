#include "cpu/translator/address_spaces.hpp"

#include <algorithm>

#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/paging.hpp"
#include "cpu/translator/jump_cache.hpp"

namespace touka::cpu::translator {

using interpreter::AccessKind;
using spec::kPageSize;
using namespace spec::x86;

namespace {

constexpr std::uint64_t kLargePagePages = 512;

} // namespace

AddressSpaces::AddressSpaces(VcpuMemory& vcpu)
    : vcpu_(vcpu), holder_(vcpu.processor.memory.code_pages().new_holder()),
      rights_(vcpu.processor.memory.top().value / kPageSize), space_(spaces_.data()) {
    all_flushed();
}

bool AddressSpaces::is_mapped() const {
    return rights_.is_mapped() && supervisor_.is_mapped() &&
           std::ranges::all_of(spaces_, [](const Space& s) { return s.user.is_mapped() && s.open.is_mapped(); });
}

LookasideTable& AddressSpaces::running() {
    const Processor& p = vcpu_.processor;
    if (p.cpl == 3) return space_->user;
    const bool open = (p.system_flags & rflags::AC) != 0 && (p.cr4 & cr4::SMAP) != 0;
    return open ? space_->open : supervisor_;
}

AddressSpaces::Fill AddressSpaces::fill(std::uint64_t linear, std::uint32_t length_bytes, bool write) {
    Processor& p = vcpu_.processor;
    if (linear % kPageSize + length_bytes > kPageSize) return Fill::kCrossing;
    if (!interpreter::is_canonical(linear)) return Fill::kRefused;
    const auto translation = translate(p, linear, write ? AccessKind::kWrite : AccessKind::kRead, p.cpl == 3);
    if (!translation || !p.memory.is_ram(translation->physical)) return Fill::kRefused;
    Sizes& sizes = sizes_[linear >> 63];
    sizes.large |= translation->page_bytes > kPageSize;
    sizes.huge |= translation->page_bytes > (std::uint64_t{4} << 20);
    const std::uint64_t page = translation->physical.value / kPageSize;
    if (translation->writable) p.memory.dirty_log().mark(page);
    p.memory.expect_use(page);
    LookasideTable& into = running();
    std::byte* host = p.memory.stores() + page * kPageSize;
    const bool writes = translation->writable && p.memory.code_pages().take_right(page, holder_);
    if (writes)
        rights_.note(page, {number_of(into), LookasideTable::slot_of(linear)},
                     [&](TableSlot s) { return table(s.table).leads_to(s.slot, host); });
    into.fill(linear, host, {.writes = writes, .global = translation->global});
    return write && !writes ? Fill::kRefused : Fill::kDone;
}

void AddressSpaces::code_read(std::uint64_t page) {
    memory::CodePages& pages = vcpu_.processor.memory.code_pages();
    if (!pages.mark(page, holder_)) return;
    const std::byte* host = vcpu_.processor.memory.stores() + page * kPageSize;
    const bool found_all = rights_.take(page, [&](TableSlot s) {
        if (table(s.table).leads_to(s.slot, host)) table(s.table).drop_slot(s.slot);
    });
    if (!found_all) clear_tables();
    pages.give_up(page, holder_);
}

void AddressSpaces::clear_tables() {
    supervisor_.clear();
    for (Space& space : spaces_) {
        space.user.clear();
        space.open.clear();
    }
}

std::uint8_t AddressSpaces::number_of(const LookasideTable& wanted) const {
    if (&wanted == &supervisor_) return 0;
    const bool open = &wanted == &space_->open;
    return static_cast<std::uint8_t>(1 + 2 * (space_ - spaces_.data()) + (open ? 1 : 0));
}

LookasideTable& AddressSpaces::table(std::uint8_t number) {
    if (number == 0) return supervisor_;
    Space& space = spaces_[(number - 1u) / 2];
    return (number - 1u) % 2 != 0 ? space.open : space.user;
}

void AddressSpaces::select() {
    Frame& frame = vcpu_.frame;
    const bool user = vcpu_.processor.cpl == 3;
    frame.table = running().pointer();
    const bool has_smap = (vcpu_.processor.cr4 & cr4::SMAP) != 0;
    frame.open_table = has_smap ? space_->open.pointer() : supervisor_.pointer();
    frame.closed_table = supervisor_.pointer();
    frame.jump_generation = jump_generation(user ? space_->generation : supervisor_generation_);
}

std::uint16_t AddressSpaces::next_generation() {
    if (++last_generation_ == 0) {
        // All have been used: start again, with nothing left from the first time.
        clear_jumps(vcpu_.frame);
        used_anew_ = true;
        for (Space& space : spaces_) space.generation = ++last_generation_;
        supervisor_generation_ = ++last_generation_;
        ++last_generation_;
    }
    return last_generation_;
}

void AddressSpaces::new_generation(Space& space) {
    space.user.clear();
    space.open.clear();
    space.generation = next_generation();
}

void AddressSpaces::all_flushed() {
    ++flush_count_;
    supervisor_.clear();
    supervisor_generation_ = next_generation();
    for (Space& space : spaces_) {
        new_generation(space);
        space.cr3 = ~std::uint64_t{0};
    }
    space_->cr3 = vcpu_.processor.cr3;
    sizes_ = {};
    code_pages_.clear();
}

void AddressSpaces::page_flushed(std::uint64_t linear) {
    const Sizes& sizes = sizes_[linear >> 63];
    if (sizes.huge) return all_flushed();
    for (LookasideTable* table : {&supervisor_, &space_->user, &space_->open}) {
        if (sizes.large)
            table->drop_large(linear);
        else
            table->drop(linear);
    }
    const bool supervisor = linear >> 63 != 0;
    // A page of the kernel's may be global, and then every address space has it.
    if (supervisor)
        for (Space& space : spaces_) space.open.clear();
    std::uint16_t& generation = supervisor ? supervisor_generation_ : space_->generation;
    if (has_code(linear, sizes.large)) generation = next_generation();
}

bool AddressSpaces::has_code(std::uint64_t linear, bool large) const {
    const std::uint64_t page = linear / kPageSize;
    if (!large) return code_pages_.contains(page);
    const std::uint64_t first = page & ~(kLargePagePages - 1);
    for (std::uint64_t n = first; n < first + kLargePagePages; ++n)
        if (code_pages_.contains(n)) return true;
    return false;
}

void AddressSpaces::address_space_changed(bool keep) {
    const std::uint64_t cr3 = vcpu_.processor.cr3;
    supervisor_.clear_local();
    auto found = std::ranges::find(spaces_, cr3, &Space::cr3);
    if (found == spaces_.end()) {
        found = std::ranges::min_element(spaces_, {}, &Space::last_use);
        found->cr3 = cr3;
        new_generation(*found);
    } else if (!keep) {
        new_generation(*found);
    }
    space_ = &*found;
    space_->last_use = ++use_;
}

std::uint64_t AddressSpaces::fill_count() const {
    std::uint64_t count = supervisor_.fill_count();
    for (const Space& space : spaces_) count += space.user.fill_count() + space.open.fill_count();
    return count;
}

} // namespace touka::cpu::translator
