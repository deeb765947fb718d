// RETF and IRET. (AMD64 APM vol. 2 rev. 3.42 §4.11.5, §8.9.5; vol. 3 rev. 3.36, RET (Far), IRET)
// Absent: returns to virtual-8086 mode and from nested tasks outside of long mode, which are #GP(0).
#include "cpu/interpreter/breakpoints.hpp"
#include "cpu/interpreter/far_transfer.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

constexpr std::uint16_t kCodeSegment = attribute::S | attribute::kCode;

[[nodiscard]] bool is_64bit_segment(const Processor& p, const SegmentState& cs) {
    return p.long_mode && (cs.attributes & attribute::L) != 0;
}

[[nodiscard]] bool pop_selector(StackCursor& stack, std::uint16_t& selector, unsigned width_bytes) {
    std::uint64_t value = 0;
    if (!stack.pop(value, width_bytes)) return false;
    selector = static_cast<std::uint16_t>(value);
    return true;
}

/// Real mode: the new IP must lie within the segment's limit, which stays.
[[nodiscard]] bool return_real(Processor& p, const StackCursor& stack, const ReturnFrame& frame) {
    const CodeTarget target{make_real_segment(p.segment(SegmentName::kCs), frame.cs), frame.rip};
    if (!check_target(p, target)) return false;
    stack.commit();
    enter(p, target);
    return true;
}

/// Sets the flags that IRET may set with the privilege it runs at; 16-bit ones leave the upper half.
void load_flags(Processor& p, std::uint64_t image, unsigned width_bytes) {
    std::uint64_t mask = writable_flags(p, width_bytes);
    if (width_bytes > 2) {
        // RF only lasts for one instruction and only matters to instruction breakpoints: without any it is not kept.
        if (has_breakpoints(p)) mask |= rflags::RF;
        if (p.cpl == 0) mask |= rflags::VIF | rflags::VIP;
    }
    p.set_rflags((p.rflags() & ~(mask | rflags::RF)) | (image & mask));
}

[[nodiscard]] bool pop_outer_stack(StackCursor& stack, ReturnFrame& frame, unsigned width_bytes) {
    frame.has_stack = true;
    return stack.pop(frame.rsp, width_bytes) && pop_selector(stack, frame.ss, width_bytes);
}

[[nodiscard]] Outcome iret_protected(Processor& p, StackCursor& stack, ReturnFrame& frame, std::uint64_t flags,
                                     unsigned width_bytes) {
    if (!p.long_mode && width_bytes == 4 && (flags & rflags::VM) != 0 && p.cpl == 0)
        return fault(p, Exception::kGeneralProtection);
    SegmentState cs;
    if (!read_return_segment(p, frame.cs, cs)) return Outcome::kFault;
    const bool outer = (frame.cs & 3) > p.cpl;
    SegmentState ss = p.segment(SegmentName::kSs);
    if (outer || in_64bit_code(p)) {
        if (!pop_outer_stack(stack, frame, width_bytes) || !read_return_stack(p, frame, cs, ss)) return Outcome::kFault;
    }
    if (!check_target(p, {cs, frame.rip})) return Outcome::kFault;
    load_flags(p, flags, width_bytes);
    enter_outer_or_same(p, frame, cs, ss, stack, 0);
    p.nmi_blocked = false;
    return Outcome::kJumped;
}

} // namespace

bool read_return_segment(Processor& p, std::uint16_t selector, SegmentState& out) {
    if (is_null(selector)) return p.raise(Exception::kGeneralProtection);
    DescriptorReference reference;
    if (!read_descriptor(p, selector, Exception::kGeneralProtection, reference)) return false;
    const std::uint16_t attributes = descriptor::attributes(reference.descriptor);
    const std::uint8_t dpl = reference.descriptor.get(descriptor::DPL), rpl = selector & 3;
    const bool conforming = (attributes & attribute::kConforming) != 0;
    const bool both_sizes = p.long_mode && (attributes & attribute::L) != 0 && (attributes & attribute::DB) != 0;
    if ((attributes & kCodeSegment) != kCodeSegment || both_sizes || rpl < p.cpl ||
        (conforming ? dpl > rpl : dpl != rpl))
        return p.raise(Exception::kGeneralProtection, selector_error(selector));
    if ((attributes & attribute::P) == 0) return p.raise(Exception::kSegmentNotPresent, selector_error(selector));
    if (!mark_accessed(p, reference)) return false;
    out = make_segment(selector, reference.descriptor);
    return true;
}

bool read_return_stack(Processor& p, const ReturnFrame& frame, const SegmentState& cs, SegmentState& out) {
    const std::uint8_t cpl = frame.cs & 3;
    if (is_null(frame.ss) && is_64bit_segment(p, cs) && cpl < 3 && (frame.ss & 3) == cpl) {
        out = make_null_segment(frame.ss, cpl);
        return true;
    }
    return read_stack_segment(p, frame.ss, cpl, Exception::kGeneralProtection, out);
}

void enter_outer_or_same(Processor& p, const ReturnFrame& frame, const SegmentState& cs, const SegmentState& ss,
                         const StackCursor& stack, std::uint64_t extra_bytes) {
    const bool outer = (frame.cs & 3) > p.cpl;
    p.segment(SegmentName::kSs) = ss;
    if (!frame.has_stack) stack.commit();
    enter(p, {cs, frame.rip});
    if (frame.has_stack) set_stack_pointer(p, frame.rsp + extra_bytes, stack_pointer_mask(p));
    if (outer) drop_inner_segments(p);
}

Outcome execute_far_return(Processor& p, const Instruction& i) {
    const unsigned width = i.info.operand_width / 8u;
    const std::uint64_t extra_bytes = i.info.operand_count_visible > 0 ? i.operands[0].imm.value.u & 0xFFFF : 0;
    StackCursor stack(p);
    ReturnFrame frame;
    if (!stack.pop(frame.rip, width) || !pop_selector(stack, frame.cs, width)) return Outcome::kFault;
    stack.skip(extra_bytes);
    if (!p.protected_mode) return return_real(p, stack, frame) ? Outcome::kJumped : Outcome::kFault;

    SegmentState cs;
    if (!read_return_segment(p, frame.cs, cs)) return Outcome::kFault;
    SegmentState ss = p.segment(SegmentName::kSs);
    if ((frame.cs & 3) > p.cpl && (!pop_outer_stack(stack, frame, width) || !read_return_stack(p, frame, cs, ss)))
        return Outcome::kFault;
    if (!check_target(p, {cs, frame.rip})) return Outcome::kFault;
    enter_outer_or_same(p, frame, cs, ss, stack, extra_bytes);
    return Outcome::kJumped;
}

Outcome execute_iret(Processor& p, const Instruction& i) {
    const unsigned width = i.info.mnemonic == ZYDIS_MNEMONIC_IRETQ   ? 8
                           : i.info.mnemonic == ZYDIS_MNEMONIC_IRETD ? 4
                                                                     : 2;
    if (p.protected_mode && (p.system_flags & rflags::NT) != 0) return fault(p, Exception::kGeneralProtection);
    StackCursor stack(p);
    ReturnFrame frame;
    std::uint64_t flags = 0;
    if (!stack.pop(frame.rip, width) || !pop_selector(stack, frame.cs, width) || !stack.pop(flags, width))
        return Outcome::kFault;
    if (p.protected_mode) return iret_protected(p, stack, frame, flags, width);
    if (!return_real(p, stack, frame)) return Outcome::kFault;
    load_flags(p, flags, width);
    p.nmi_blocked = false;
    return Outcome::kJumped;
}

} // namespace touka::cpu::interpreter
