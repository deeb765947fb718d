#include "cpu/interpreter/state_conversion.hpp"

#include "cpu/interpreter/control_registers.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/msr.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "cpu/interpreter/xsave.hpp"
#include "spec/x86/debug_register.hpp"
#include "spec/x86/descriptor.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

/// RFLAGS bits that exist, virtual-8086 mode's VM not among them.
constexpr std::uint64_t kFlags = StatusFlags::kRflagsMask | rflags::FIXED | rflags::TF | rflags::IF | rflags::DF |
                                 rflags::IOPL | rflags::NT | rflags::RF | rflags::AC | rflags::VIF | rflags::VIP |
                                 rflags::ID;
constexpr std::uint64_t kCr0Bits =
    cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;
constexpr std::uint8_t kLastException = 31;

/// Do CR0, CR4 and EFER name a mode that exists? (APM vol. 2 §14.6.1)
[[nodiscard]] bool is_possible_mode(const Processor& p) {
    const bool paging = (p.cr0 & cr0::PG) != 0, lme = (p.msr.efer & efer::LME) != 0;
    const bool lma = (p.msr.efer & efer::LMA) != 0;
    if ((p.cr0 & ~kCr0Bits) != 0 || (paging && (p.cr0 & cr0::PE) == 0)) return false;
    if ((p.cr4 & ~supported_cr4(p)) != 0 || lma != (lme && paging)) return false;
    if (lma && (p.cr4 & cr4::PAE) == 0) return false;
    return lma || (p.cr4 & cr4::PCIDE) == 0;
}

/// Addresses that the processor itself uses are canonical, and outside of long mode have 32 bits.
[[nodiscard]] bool are_possible_addresses(const Processor& p) {
    const auto possible = [&](std::uint64_t address) {
        return p.long_mode ? is_canonical(address) : address <= 0xFFFF'FFFF;
    };
    for (const SegmentName name : {SegmentName::kEs, SegmentName::kCs, SegmentName::kSs, SegmentName::kDs})
        if (!p.segment(name).unusable && p.segment(name).base > 0xFFFF'FFFF) return false;
    // FS and GS bases can be MSR values left over from long mode.
    const bool bases = is_canonical(p.segment(SegmentName::kFs).base) && is_canonical(p.segment(SegmentName::kGs).base);
    const bool tables = possible(p.gdtr.base) && possible(p.idtr.base) && possible(p.ldtr.base) && possible(p.tr.base);
    const bool code = in_64bit_code(p) ? is_canonical(p.rip) : p.rip <= 0xFFFF'FFFF;
    return bases && tables && code && (p.cr3 & p.model.reserved_address_bits) == 0;
}

/// A code segment that is also 64-bit and 32-bit does not exist; the DPL of SS is the privilege, and in protected mode
/// that of a CS that is not conforming too.
[[nodiscard]] bool are_possible_segments(const Processor& p) {
    const std::uint16_t cs = p.segment(SegmentName::kCs).attributes;
    if (!p.protected_mode) return true;
    if (p.long_mode && (cs & attribute::L) != 0 && (cs & attribute::DB) != 0) return false;
    const bool conforming =
        (cs & (attribute::kCode | attribute::kConforming)) == (attribute::kCode | attribute::kConforming);
    return conforming || (cs & attribute::DPL) >> attribute::kDplShift == p.cpl;
}

[[nodiscard]] bool is_possible_event(const std::optional<PendingEvent>& event) {
    return !event || event->kind != PendingEvent::Kind::kException || event->vector <= kLastException;
}

} // namespace

CpuState capture_state(Processor& p) {
    spill_x87(p.regs);
    CpuState state;
    state.gpr = p.regs.gpr;
    state.rip = p.rip;
    state.rflags = p.rflags();
    state.segment = p.segments;
    state.ldtr = p.ldtr;
    state.tr = p.tr;
    state.gdtr = p.gdtr;
    state.idtr = p.idtr;
    state.cr0 = p.cr0;
    state.cr2 = p.cr2;
    state.cr3 = p.cr3;
    state.cr4 = p.cr4;
    state.cr8 = p.interrupts.task_priority_class();
    state.dr = p.dr;
    state.xcr0 = p.xcr0;
    state.xsave = save_xsave_image(p);
    state.msrs = save_msrs(p);
    state.run_state = p.run_state;
    state.interrupt_shadow = p.interrupt_shadow;
    state.debug_shadow = p.debug_shadow;
    state.nmi_blocked = p.nmi_blocked;
    state.nmi_pending = p.nmi_pending;
    state.pending_debug = p.pending_debug;
    state.pending_event = p.pending_event;
    return state;
}

bool apply_state(Processor& p, const CpuState& state) {
    // CR8 is the local APIC's task priority, which travels with the APIC.
    p.regs.gpr = state.gpr;
    p.rip = state.rip;
    p.set_rflags(state.rflags);
    p.segments = state.segment;
    p.ldtr = state.ldtr;
    p.tr = state.tr;
    p.gdtr = state.gdtr;
    p.idtr = state.idtr;
    p.cr0 = state.cr0;
    p.cr2 = state.cr2;
    p.cr3 = state.cr3;
    p.cr4 = state.cr4;
    p.dr = state.dr;
    p.dr[6] = (state.dr[6] & dr6::kWritable) | dr6::kFixed;
    p.dr[7] = (state.dr[7] & dr7::kWritable) | dr7::kFixed;
    p.xcr0 = state.xcr0;
    p.run_state = state.run_state;
    p.interrupt_shadow = state.interrupt_shadow;
    p.debug_shadow = state.debug_shadow;
    p.nmi_blocked = state.nmi_blocked;
    p.nmi_pending = state.nmi_pending;
    p.pending_debug = state.pending_debug & dr6::kWritable;
    p.pending_event = state.pending_event;
    p.shutdown = false;
    p.attention = true;
    p.msr.efer = 0;
    const bool msrs_valid = load_msrs(p, state.msrs);
    spill_x87(p.regs);
    const bool vectors_valid = load_xsave_image(p, state.xsave);
    p.fault.reset();
    update_mode(p);
    flush_tlb(p);
    select_tlb(p);
    const bool flags_valid = (state.rflags & ~kFlags) == 0;
    const bool run_state_valid = state.run_state <= RunState::kWaitForSipi;
    return msrs_valid && vectors_valid && flags_valid && run_state_valid && is_valid_xcr0(p, state.xcr0) &&
           is_possible_mode(p) && are_possible_segments(p) && are_possible_addresses(p) &&
           is_possible_event(state.pending_event);
}

} // namespace touka::cpu::interpreter
