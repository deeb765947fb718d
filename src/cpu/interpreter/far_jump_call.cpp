// Far JMP and CALL. (AMD64 APM vol. 2 rev. 3.42 §4.11; vol. 3 rev. 3.36, JMP (Far), CALL (Far))
// Absent: task gates and TSSs as targets, which are #GP.
#include "cpu/interpreter/far_transfer.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

constexpr std::uint16_t kCodeSegment = attribute::S | attribute::kCode;

[[nodiscard]] bool is_code(std::uint16_t attributes) { return (attributes & kCodeSegment) == kCodeSegment; }

/// Where a far jump or call goes in protected mode.
struct FarTarget {
    CodeTarget code;
    unsigned width_bytes = 0;         ///< of what CALL pushes
    bool is_inner = false;            ///< a call through a gate to a lower CPL
    std::uint8_t cpl = 0;             ///< there
    std::uint8_t parameter_count = 0; ///< words that a legacy gate copies
};

[[nodiscard]] bool refuse(Processor& p, std::uint16_t selector) {
    return p.raise(Exception::kGeneralProtection, selector_error(selector));
}

[[nodiscard]] bool finish_target(Processor& p, DescriptorReference& reference, std::uint64_t rip, FarTarget& out) {
    const std::uint16_t selector = reference.selector.raw;
    if (!reference.descriptor.get(descriptor::P))
        return p.raise(Exception::kSegmentNotPresent, selector_error(selector));
    out.code.cs = make_segment(static_cast<std::uint16_t>(selector_error(selector) | out.cpl), reference.descriptor);
    out.code.cs.attributes |= attribute::kAccessed;
    out.code.rip = rip;
    return check_target(p, out.code) && mark_accessed(p, reference);
}

[[nodiscard]] bool code_target(Processor& p, DescriptorReference& reference, std::uint64_t rip, FarTarget& out) {
    const std::uint16_t attributes = descriptor::attributes(reference.descriptor);
    const std::uint8_t dpl = reference.descriptor.get(descriptor::DPL);
    const bool conforming = (attributes & attribute::kConforming) != 0;
    const bool allowed = conforming ? dpl <= p.cpl : dpl == p.cpl && reference.selector.get(selector::RPL) <= p.cpl;
    const bool both_sizes = p.long_mode && (attributes & attribute::L) != 0 && (attributes & attribute::DB) != 0;
    if (!allowed || both_sizes) return refuse(p, reference.selector.raw);
    out.cpl = p.cpl;
    return finish_target(p, reference, rip, out);
}

/// The call gate at `gate_reference`: 16 bytes long in long mode, then to 64-bit code only.
[[nodiscard]] bool gate_target(Processor& p, const DescriptorReference& gate_reference, bool is_call, FarTarget& out) {
    const Gate gate_value{gate_reference.descriptor.raw};
    const std::uint16_t gate_selector = gate_reference.selector.raw;
    const auto type = gate_value.get(gate::TYPE);
    const bool known = type == SystemType::kCallGate || (type == SystemType::kCallGate16 && !p.long_mode);
    const std::uint8_t gate_dpl = gate_value.get(gate::DPL);
    if (!known || gate_dpl < p.cpl || gate_dpl < gate_reference.selector.get(selector::RPL))
        return refuse(p, gate_selector);
    if (!gate_value.get(gate::P)) return p.raise(Exception::kSegmentNotPresent, selector_error(gate_selector));
    std::uint64_t rip = gate::offset(gate_value);
    if (type == SystemType::kCallGate16) rip &= 0xFFFF;
    if (p.long_mode) {
        constexpr std::uint64_t kUpperType = 0x1F00'0000'0000; // must be zero, so that it cannot be taken for a segment
        std::uint64_t upper = 0;
        if (!read_upper_descriptor(p, gate_reference, upper)) return false;
        if ((upper & kUpperType) != 0) return refuse(p, gate_selector);
        rip |= upper << 32;
    }
    out.width_bytes = p.long_mode ? 8 : type == SystemType::kCallGate ? 4 : 2;
    out.parameter_count = p.long_mode ? std::uint8_t{0} : gate_value.get(gate::PARAMETER_COUNT);

    const std::uint16_t selector = gate_value.get(gate::SELECTOR);
    if (is_null(selector)) return p.raise(Exception::kGeneralProtection);
    DescriptorReference code;
    if (!read_descriptor(p, selector, Exception::kGeneralProtection, code)) return false;
    const std::uint16_t attributes = descriptor::attributes(code.descriptor);
    const std::uint8_t dpl = code.descriptor.get(descriptor::DPL);
    const bool right_size = !p.long_mode || (attributes & (attribute::L | attribute::DB)) == attribute::L;
    if (!is_code(attributes) || dpl > p.cpl || !right_size) return refuse(p, selector);
    const bool conforming = (attributes & attribute::kConforming) != 0;
    if (!is_call && !conforming && dpl != p.cpl) return refuse(p, selector);
    out.cpl = conforming ? p.cpl : dpl;
    out.is_inner = out.cpl < p.cpl;
    return finish_target(p, code, rip, out);
}

[[nodiscard]] bool resolve(Processor& p, const FarPointer& pointer, bool is_call, FarTarget& out) {
    if (is_null(pointer.selector)) return p.raise(Exception::kGeneralProtection);
    DescriptorReference reference;
    if (!read_descriptor(p, pointer.selector, Exception::kGeneralProtection, reference)) return false;
    out.width_bytes = pointer.width_bytes;
    if (is_code(descriptor::attributes(reference.descriptor))) return code_target(p, reference, pointer.offset, out);
    if (reference.descriptor.get(descriptor::S)) return refuse(p, pointer.selector);
    return gate_target(p, reference, is_call, out);
}

[[nodiscard]] CodeTarget real_target(const Processor& p, const FarPointer& pointer) {
    return {make_real_segment(p.segment(SegmentName::kCs), pointer.selector), pointer.offset};
}

/// Copies the parameters of a legacy call gate from the outer to the inner stack.
[[nodiscard]] bool copy_parameters(Processor& p, const FarTarget& target, StackCursor& inner) {
    std::array<std::uint64_t, 32> parameters{};
    StackCursor outer(p);
    for (std::size_t n = 0; n < target.parameter_count; ++n)
        if (!outer.pop(parameters[n], target.width_bytes)) return false;
    for (std::size_t n = target.parameter_count; n > 0; --n)
        if (!inner.push(parameters[n - 1], target.width_bytes)) return false;
    return true;
}

[[nodiscard]] bool call_inner(Processor& p, const FarTarget& target) {
    InnerStack next;
    if (!read_inner_stack(p, target.cpl, 0, next)) return false;
    StackCursor stack(p, next.ss, next.pointer, target.cpl, p.long_mode);
    const unsigned width = target.width_bytes;
    if (!stack.push(p.segment(SegmentName::kSs).selector, width) || !stack.push(p.gpr(Gpr::kRsp), width) ||
        !copy_parameters(p, target, stack) || !stack.push(p.segment(SegmentName::kCs).selector, width) ||
        !stack.push(p.next_rip, width))
        return false;
    p.segment(SegmentName::kSs) = next.ss;
    stack.commit();
    enter(p, target.code);
    return true;
}

[[nodiscard]] bool call_same(Processor& p, const CodeTarget& target, unsigned width) {
    StackCursor stack(p);
    if (!stack.push(p.segment(SegmentName::kCs).selector, width) || !stack.push(p.next_rip, width)) return false;
    stack.commit();
    enter(p, target);
    return true;
}

} // namespace

bool read_far_pointer(Processor& p, const Instruction& i, std::size_t index, FarPointer& out) {
    const ZydisDecodedOperand& operand = i.operands[index];
    out.width_bytes = i.info.operand_width / 8u;
    // AMD processors have no 16:64 pointers: REX.W is ignored. (APM vol. 3, JMP (Far))
    if (out.width_bytes == 8 && p.model.vendor == ProcessorModel::Vendor::kAmd) out.width_bytes = 4;
    if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) {
        out.selector = operand.ptr.segment;
        out.offset = operand.ptr.offset;
        return true;
    }
    std::uint64_t linear = 0;
    if (!operand_address(p, i, index, out.width_bytes + 2, false, linear)) return false;
    if (out.width_bytes == 8) {
        if (!read_linear(p, linear, out.offset)) return false;
    } else if (out.width_bytes == 4) {
        std::uint32_t offset = 0;
        if (!read_linear(p, linear, offset)) return false;
        out.offset = offset;
    } else {
        std::uint16_t offset = 0;
        if (!read_linear(p, linear, offset)) return false;
        out.offset = offset;
    }
    return read_linear(p, linear + out.width_bytes, out.selector);
}

Outcome execute_far_jump(Processor& p, const Instruction& i) {
    FarPointer pointer;
    if (!read_far_pointer(p, i, 0, pointer)) return Outcome::kFault;
    FarTarget target;
    if (!p.protected_mode) {
        target.code = real_target(p, pointer);
        if (!check_target(p, target.code)) return Outcome::kFault;
    } else if (!resolve(p, pointer, false, target)) {
        return Outcome::kFault;
    }
    enter(p, target.code);
    return Outcome::kJumped;
}

Outcome execute_far_call(Processor& p, const Instruction& i) {
    FarPointer pointer;
    if (!read_far_pointer(p, i, 0, pointer)) return Outcome::kFault;
    if (!p.protected_mode) {
        const CodeTarget target = real_target(p, pointer);
        return check_target(p, target) && call_same(p, target, pointer.width_bytes) ? Outcome::kJumped
                                                                                    : Outcome::kFault;
    }
    FarTarget target;
    if (!resolve(p, pointer, true, target)) return Outcome::kFault;
    const bool done = target.is_inner ? call_inner(p, target) : call_same(p, target.code, target.width_bytes);
    return done ? Outcome::kJumped : Outcome::kFault;
}

} // namespace touka::cpu::interpreter
