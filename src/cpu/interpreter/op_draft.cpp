#include "cpu/interpreter/op_draft.hpp"

#include <bit>

#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {

std::uint8_t register_offset(ZydisRegister name) {
    const auto number = [name](ZydisRegister first) { return static_cast<std::uint8_t>(name - first); };
    if (name >= ZYDIS_REGISTER_AL && name <= ZYDIS_REGISTER_BL)
        return static_cast<std::uint8_t>(number(ZYDIS_REGISTER_AL) * 8);
    if (name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH)
        return static_cast<std::uint8_t>(number(ZYDIS_REGISTER_AH) * 8 + 1);
    if (name >= ZYDIS_REGISTER_SPL && name <= ZYDIS_REGISTER_R15B)
        return static_cast<std::uint8_t>((number(ZYDIS_REGISTER_SPL) + 4) * 8);
    if (name >= ZYDIS_REGISTER_AX && name <= ZYDIS_REGISTER_R15W)
        return static_cast<std::uint8_t>(number(ZYDIS_REGISTER_AX) * 8);
    if (name >= ZYDIS_REGISTER_EAX && name <= ZYDIS_REGISTER_R15D)
        return static_cast<std::uint8_t>(number(ZYDIS_REGISTER_EAX) * 8);
    if (name >= ZYDIS_REGISTER_RAX && name <= ZYDIS_REGISTER_R15)
        return static_cast<std::uint8_t>(number(ZYDIS_REGISTER_RAX) * 8);
    return kNoRegister;
}

SegmentName segment_name(ZydisRegister name) {
    switch (name) {
        case ZYDIS_REGISTER_ES: return SegmentName::kEs;
        case ZYDIS_REGISTER_CS: return SegmentName::kCs;
        case ZYDIS_REGISTER_SS: return SegmentName::kSs;
        case ZYDIS_REGISTER_FS: return SegmentName::kFs;
        case ZYDIS_REGISTER_GS: return SegmentName::kGs;
        default: return SegmentName::kDs;
    }
}

void set_memory(Draft& draft, std::size_t index) {
    const ZydisDecodedOperandMem& memory = draft.operand(index).mem;
    Op& op = draft.op;
    op.displacement = memory.disp.has_displacement ? memory.disp.value : 0;
    op.base = kZeroOffset;
    op.index = kZeroOffset;
    if (memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP) {
        op.base = kCodeBaseOffset;
        op.displacement += op.offset + op.length_bytes;
    } else if (memory.base != ZYDIS_REGISTER_NONE) {
        op.base = register_offset(memory.base);
    }
    if (memory.index != ZYDIS_REGISTER_NONE) {
        op.index = register_offset(memory.index);
        op.scale = static_cast<std::uint8_t>(std::countr_zero(memory.scale));
    }
    const SegmentName segment = segment_name(memory.segment);
    op.segment = static_cast<std::uint8_t>(segment);
    if (segment == SegmentName::kSs) op.access = access::kStack;
    const unsigned address_bits = draft.instruction.info.address_width;
    op.address = address_bits == 64 ? address_form::k64 : address_bits == 32 ? address_form::k32 : address_form::k16;
    if (address_bits == 64 && segment < SegmentName::kFs) op.address = address_form::kPlain;
}

Form set_operands(Draft& draft) {
    const auto count = draft.instruction.info.operand_count_visible;
    Op& op = draft.op;
    if (count == 0) return Form::kOther;
    if (draft.is_register(0)) {
        op.reg = register_offset(draft.operand(0).reg.value);
        if (op.reg == kNoRegister) return Form::kOther;
    } else if (draft.is_memory(0)) {
        set_memory(draft, 0);
    } else {
        return Form::kOther;
    }
    if (count == 1) return draft.is_register(0) ? Form::kRegister : Form::kMemory;
    if (draft.is_immediate(1)) {
        op.immediate = static_cast<std::int32_t>(draft.operand(1).imm.value.s);
        return draft.is_register(0) ? Form::kRegisterImmediate : Form::kMemoryImmediate;
    }
    if (draft.is_memory(1)) {
        set_memory(draft, 1);
        return Form::kRegisterMemory;
    }
    if (!draft.is_register(1)) return Form::kOther;
    const std::uint8_t second = register_offset(draft.operand(1).reg.value);
    if (second == kNoRegister) return Form::kOther;
    if (draft.is_register(0)) {
        op.reg2 = second;
        return Form::kRegisterRegister;
    }
    op.reg = second;
    return Form::kMemoryRegister;
}

} // namespace touka::cpu::interpreter
