#include "cpu/interpreter/delivery.hpp"

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/segmentation.hpp"
#include "cpu/interpreter/stack.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

/// One attempt to get a handler running.
struct Event {
    std::uint8_t vector = 0;
    std::optional<std::uint32_t> error_code;
    std::uint64_t return_rip = 0;
    std::uint64_t flags = 0; ///< image to push
    bool checks_dpl = false; ///< INT n, INT3, INTO
    bool is_external = true; ///< EXT in the error codes of faults on the way: all but INT n, INT3, INTO
};

/// Where the gate leads, checked.
struct Handler {
    CodeTarget target;
    DescriptorReference code;
    std::uint8_t cpl = 0;
    std::uint8_t interrupt_stack = 0;
    unsigned width_bytes = 0;
    bool clears_if = false;
};

[[nodiscard]] bool deliver_real(Processor& p, const Event& event) {
    const std::uint32_t offset = event.vector * 4u;
    if (offset + 3 > p.idtr.limit) return p.raise(Exception::kGeneralProtection);
    std::uint32_t entry = 0;
    if (!read_linear(p, static_cast<std::uint32_t>(p.idtr.base + offset), entry, Privilege::kSupervisor)) return false;
    StackCursor stack(p);
    const std::uint16_t cs = p.segment(SegmentName::kCs).selector;
    if (!stack.push(event.flags, 2) || !stack.push(cs, 2) || !stack.push(event.return_rip, 2)) return false;
    stack.commit();
    p.system_flags &= ~(rflags::IF | rflags::TF | rflags::AC | rflags::RF);
    const auto selector = static_cast<std::uint16_t>(entry >> 16);
    enter(p, {make_real_segment(p.segment(SegmentName::kCs), selector), entry & 0xFFFF});
    return true;
}

[[nodiscard]] bool read_gate(Processor& p, const Event& event, Gate& gate_out, std::uint64_t& offset) {
    const std::uint64_t bytes = p.long_mode ? 16 : 8;
    const std::uint32_t error = event.vector * 8u | selector_error::IDT;
    if (event.vector * bytes + bytes - 1 > p.idtr.limit) return p.raise(Exception::kGeneralProtection, error);
    std::uint64_t linear = p.idtr.base + event.vector * bytes;
    if (!p.long_mode) linear = static_cast<std::uint32_t>(linear);
    if (!read_linear(p, linear, gate_out.raw, Privilege::kSupervisor)) return false;
    offset = gate::offset(gate_out);
    if (p.long_mode) {
        std::uint32_t high = 0;
        if (!read_linear(p, linear + 8, high, Privilege::kSupervisor)) return false;
        offset |= std::uint64_t{high} << 32;
    }
    const auto type = gate_out.get(gate::TYPE);
    const bool known = type == SystemType::kInterruptGate || type == SystemType::kTrapGate ||
                       (!p.long_mode && (type == SystemType::kInterruptGate16 || type == SystemType::kTrapGate16));
    if (gate_out.get(gate::S) || !known || (event.checks_dpl && gate_out.get(gate::DPL) < p.cpl))
        return p.raise(Exception::kGeneralProtection, error);
    if (!gate_out.get(gate::P)) return p.raise(Exception::kSegmentNotPresent, error);
    return true;
}

[[nodiscard]] bool find_handler(Processor& p, const Event& event, Handler& handler) {
    Gate gate_value;
    if (!read_gate(p, event, gate_value, handler.target.rip)) return false;
    const auto type = static_cast<unsigned>(gate_value.get(gate::TYPE));
    handler.clears_if = (type & 1) == 0;
    handler.width_bytes = p.long_mode ? 8 : (type & 8) != 0 ? 4 : 2;
    handler.interrupt_stack = p.long_mode ? gate_value.get(gate::IST) : std::uint8_t{0};

    const std::uint16_t selector = gate_value.get(gate::SELECTOR);
    if (is_null(selector)) return p.raise(Exception::kGeneralProtection);
    if (!read_descriptor(p, selector, Exception::kGeneralProtection, handler.code)) return false;
    const std::uint16_t attributes = descriptor::attributes(handler.code.descriptor);
    const std::uint8_t dpl = handler.code.descriptor.get(descriptor::DPL);
    constexpr std::uint16_t kCodeSegment = attribute::S | attribute::kCode;
    const bool is_code = (attributes & kCodeSegment) == kCodeSegment;
    const bool right_size = !p.long_mode || (attributes & (attribute::L | attribute::DB)) == attribute::L;
    if (!is_code || dpl > p.cpl || !right_size) return p.raise(Exception::kGeneralProtection, selector_error(selector));
    if ((attributes & attribute::P) == 0) return p.raise(Exception::kSegmentNotPresent, selector_error(selector));
    handler.cpl = (attributes & attribute::kConforming) != 0 ? p.cpl : dpl;
    handler.target.cs =
        make_segment(static_cast<std::uint16_t>(selector_error(selector) | handler.cpl), handler.code.descriptor);
    handler.target.cs.attributes |= attribute::kAccessed;
    return true;
}

[[nodiscard]] bool push_frame(const Processor& p, StackCursor& stack, const Event& event, unsigned width,
                              bool with_stack) {
    if (with_stack && (!stack.push(p.segment(SegmentName::kSs).selector, width) ||
                       !stack.push(p.regs.gpr[static_cast<std::size_t>(Gpr::kRsp)], width)))
        return false;
    return stack.push(event.flags, width) && stack.push(p.segment(SegmentName::kCs).selector, width) &&
           stack.push(event.return_rip, width) && (!event.error_code || stack.push(*event.error_code, width));
}

[[nodiscard]] bool deliver_protected(Processor& p, const Event& event) {
    Handler handler;
    if (!find_handler(p, event, handler)) return false;
    const bool inner = handler.cpl < p.cpl;
    InnerStack next{.ss = p.segment(SegmentName::kSs), .pointer = p.gpr(Gpr::kRsp)};
    if (inner || handler.interrupt_stack != 0) {
        if (!read_inner_stack(p, handler.cpl, handler.interrupt_stack, next)) return false;
        if (!inner) next.ss = p.segment(SegmentName::kSs);
    }
    // Long mode aligns the frame to 16 bytes. (APM vol. 2 §8.9.3)
    if (p.long_mode) next.pointer &= ~std::uint64_t{15};
    StackCursor stack =
        inner || p.long_mode ? StackCursor(p, next.ss, next.pointer, handler.cpl, p.long_mode) : StackCursor(p);
    if (!push_frame(p, stack, event, handler.width_bytes, inner || p.long_mode)) return false;
    if (!check_target(p, handler.target) || !mark_accessed(p, handler.code)) return false;

    p.segment(SegmentName::kSs) = next.ss;
    stack.commit();
    p.system_flags &= ~(rflags::TF | rflags::NT | rflags::RF | rflags::VM);
    if (handler.clears_if) p.system_flags &= ~rflags::IF;
    enter(p, handler.target);
    return true;
}

/// @return false with Processor::fault set and nothing changed but memory below the stack.
[[nodiscard]] bool deliver(Processor& p, const Event& event) {
    p.fault.reset();
    if (p.protected_mode ? deliver_protected(p, event) : deliver_real(p, event)) {
        p.interrupt_shadow = p.debug_shadow = false;
        return true;
    }
    const bool names_selector =
        p.fault->exception >= Exception::kInvalidTss && p.fault->exception <= Exception::kGeneralProtection;
    if (event.is_external && names_selector) p.fault->error_code |= selector_error::EXT;
    return false;
}

/// #DE, #TS, #NP, #SS, #GP. (APM vol. 2 table 8-3; Intel SDM vol. 3 table 6-4)
[[nodiscard]] bool is_contributory(Exception exception) {
    return exception == Exception::kDivideError ||
           (exception >= Exception::kInvalidTss && exception <= Exception::kGeneralProtection);
}

/// Do two exceptions, the second met while delivering the first, make a double fault?
[[nodiscard]] bool makes_double_fault(Exception first, Exception second) {
    if (first == Exception::kPageFault) return second == Exception::kPageFault || is_contributory(second);
    return is_contributory(first) && is_contributory(second);
}

/// What the exception itself leaves behind, handler or not.
void note_exception(Processor& p, const Fault& fault) {
    if (fault.exception == Exception::kPageFault) p.cr2 = fault.address;
    if (fault.exception == Exception::kDebug) {
        p.dr[6] |= fault.address & dr6::kWritable;
        p.dr[7] &= ~dr7::GD;
        p.msr.debug_ctl = 0;
    }
}

[[nodiscard]] Event event_of(const Processor& p, const Fault& fault) {
    Event event;
    event.vector = static_cast<std::uint8_t>(fault.exception);
    if (p.protected_mode && has_error_code(fault.exception)) event.error_code = fault.error_code;
    event.return_rip = p.rip;
    // Faults show RF set, so that the handler's IRET does not trip over an instruction breakpoint again; debug
    // exceptions, other than MOV to a guarded debug register, show it as it was. (Intel SDM vol. 3 §18.3.1.1)
    event.flags = p.rflags();
    if (fault.exception != Exception::kDebug || (fault.address & dr6::BD) != 0) event.flags |= rflags::RF;
    return event;
}

} // namespace

void deliver_exception(Processor& p, Fault fault) {
    for (;;) {
        note_exception(p, fault);
        if (deliver(p, event_of(p, fault))) return;
        const Fault second = *p.fault;
        p.fault.reset();
        if (fault.exception == Exception::kDoubleFault) {
            p.shutdown = true;
            return;
        }
        if (makes_double_fault(fault.exception, second.exception)) {
            note_exception(p, second);
            fault = Fault{.exception = Exception::kDoubleFault};
        } else {
            fault = second;
        }
    }
}

void deliver_interrupt(Processor& p, std::uint8_t vector, InterruptKind kind) {
    Event event;
    event.vector = vector;
    event.return_rip = p.rip;
    event.flags = p.rflags();
    if (kind == InterruptKind::kNmi) p.nmi_blocked = true;
    if (deliver(p, event)) return;
    const Fault fault = *p.fault;
    deliver_exception(p, fault);
}

Outcome deliver_software_interrupt(Processor& p, std::uint8_t vector, InterruptKind kind) {
    Event event;
    event.vector = vector;
    event.return_rip = p.next_rip;
    event.flags = p.rflags();
    event.checks_dpl = kind == InterruptKind::kSoftware;
    event.is_external = kind == InterruptKind::kPrivilegedSoftware;
    return deliver(p, event) ? Outcome::kJumped : Outcome::kFault;
}

void deliver_pending_event(Processor& p) {
    const PendingEvent pending = *p.pending_event;
    p.pending_event.reset();
    switch (pending.kind) {
        case PendingEvent::Kind::kException:
            deliver_exception(p, Fault{.exception = static_cast<Exception>(pending.vector),
                                       .error_code = pending.error_code.value_or(0),
                                       .address = pending.cr2});
            return;
        case PendingEvent::Kind::kNmi: deliver_interrupt(p, pending.vector, InterruptKind::kNmi); return;
        case PendingEvent::Kind::kExternalInterrupt:
            deliver_interrupt(p, pending.vector, InterruptKind::kExternal);
            return;
        case PendingEvent::Kind::kSoftwareInterrupt: return;
    }
}

} // namespace touka::cpu::interpreter
