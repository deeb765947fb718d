#include "cpu/interpreter/tlb.hpp"

#include <bit>

#include "cpu/interpreter/breakpoints.hpp"
#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

bool checks_alignment(const Processor& p) {
    return p.cpl == 3 && (p.system_flags & rflags::AC) != 0 && (p.cr0 & cr0::AM) != 0;
}

void select_tlb(Processor& p) {
    TlbTable table = p.cpl == 3 ? TlbTable::kUser : TlbTable::kSupervisor;
    if (p.cpl != 3 && (p.system_flags & rflags::AC) != 0 && (p.cr4 & cr4::SMAP) != 0) table = TlbTable::kSupervisorOpen;
    if (checks_alignment(p) || (has_breakpoints(p) && watches_data(p))) table = TlbTable::kChecked;
    p.tlb.data = p.tlb.table(table).data();
}

namespace {

void flush_own(Tlb& tlb) {
    tlb.large_pages = {};
    if (++tlb.epoch <= Tlb::kLastEpoch) return;
    // The epochs are used up: start again, with no entry left from the first time.
    tlb.epoch = 0;
    tlb.tables = {};
    tlb.code = {};
}

} // namespace

void flush_tlb(Processor& p) {
    flush_own(p.tlb);
    if (p.translations != nullptr) p.translations->all_flushed();
}

void change_address_space(Processor& p, bool keep) {
    flush_own(p.tlb);
    if (p.translations != nullptr) p.translations->address_space_changed(keep);
}

void flush_tlb_page(Processor& p, std::uint64_t linear) {
    if (p.translations != nullptr) p.translations->page_flushed(linear);
    const Tlb::LargePages& large = p.tlb.large_pages[linear >> 63];
    if (large.any && ((linear ^ large.base) & large.mask) == 0) {
        flush_own(p.tlb);
        return;
    }
    for (Tlb::Table& table : p.tlb.tables) table[Tlb::slot(linear)] = {};
    for (Tlb::CodeTable& table : p.tlb.code) table[Tlb::code_slot(linear)] = {};
}

} // namespace touka::cpu::interpreter
