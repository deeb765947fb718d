#include "cpu/translator/classification.hpp"

#include <algorithm>

#include "cpu/interpreter/native_set.hpp"

namespace touka::cpu::translator {
namespace {

constexpr std::uint8_t kRsp = 4, kRbp = 5;
constexpr ZydisAccessedFlagsMask kStatus =
    ZYDIS_CPUFLAG_CF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;

bool is_general(const ZydisDecodedOperand& o) { return general_number(o) != kNoRegister; }

/// @return false for what is no plain operand: gathers, absolute addresses of 64 bits, other sizes.
bool take_memory(GuestInstruction& i, const ZydisDecodedOperand& o) {
    if (o.encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM || o.size == 0 || o.size > 64 * 8 || o.size % 8 != 0)
        return false;
    if (o.mem.type != ZYDIS_MEMOP_TYPE_MEM && o.mem.type != ZYDIS_MEMOP_TYPE_AGEN) return false;
    MemoryAccess& a = i.access;
    a = {};
    a.size_bytes = static_cast<std::uint8_t>(o.size / 8);
    a.reads = (o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    a.writes = (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    a.has_base_segment = o.mem.segment == ZYDIS_REGISTER_FS || o.mem.segment == ZYDIS_REGISTER_GS;
    a.is_gs = o.mem.segment == ZYDIS_REGISTER_GS;
    a.has_short_address = i.decoded.info.address_width == 32;
    a.displacement = o.mem.disp.has_displacement ? static_cast<std::int32_t>(o.mem.disp.value) : 0;
    if (o.mem.base == ZYDIS_REGISTER_RIP || o.mem.base == ZYDIS_REGISTER_EIP) {
        a.base = MemoryAccess::kRip; // place() makes the displacement one from the page's start
        if (a.displacement > kMostFromRip) return false;
    } else if (o.mem.base != ZYDIS_REGISTER_NONE) {
        a.base = general_number(o.mem.base);
    }
    if (o.mem.index != ZYDIS_REGISTER_NONE) {
        a.index = general_number(o.mem.index);
        a.scale = o.mem.scale;
    }
    i.has_access = true;
    return true;
}

MemoryAccess stack_access(std::int32_t displacement, bool writes) {
    MemoryAccess a;
    a.base = kRsp;
    a.size_bytes = 8;
    a.displacement = displacement;
    a.reads = !writes;
    a.writes = writes;
    return a;
}

/// Short forms with the accumulator in the opcode.
bool has_accumulator_form(const ZydisDecodedInstruction& info) {
    if (info.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    return (info.opcode < 0x40 && (info.opcode & 6) == 4) || info.opcode == 0xA8 || info.opcode == 0xA9 ||
           (info.opcode > 0x90 && info.opcode < 0x98);
}

bool is_x87_control(ZydisRegister reg) {
    return reg == ZYDIS_REGISTER_X87STATUS || reg == ZYDIS_REGISTER_X87CONTROL || reg == ZYDIS_REGISTER_X87TAG;
}

/// Every operand has a place in the encoding that can be given to another register.
bool can_be_copied(GuestInstruction& i) {
    const auto& info = i.decoded.info;
    if (info.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && info.encoding != ZYDIS_INSTRUCTION_ENCODING_VEX &&
        info.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX)
        return false;
    bool high_byte = false, memory = false;
    for (std::size_t n = 0; n < info.operand_count; ++n) {
        const auto& o = i.operand(n);
        if (o.type == ZYDIS_OPERAND_TYPE_POINTER) return false;
        if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) {
            if (memory || !take_memory(i, o)) return false;
            memory = true;
        }
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        switch (ZydisRegisterGetClass(o.reg.value)) {
            case ZYDIS_REGCLASS_XMM:
            case ZYDIS_REGCLASS_YMM:
            case ZYDIS_REGCLASS_ZMM:
            case ZYDIS_REGCLASS_MASK: i.uses_vectors = true; continue;
            case ZYDIS_REGCLASS_X87:
            case ZYDIS_REGCLASS_MMX:
            case ZYDIS_REGCLASS_FLAGS: continue;
            default: break;
        }
        const bool hidden = o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
        if (hidden && (o.reg.value == ZYDIS_REGISTER_MXCSR || is_x87_control(o.reg.value))) continue;
        if (!is_general(o)) return false;
        high_byte |= is_high_byte(o.reg.value);
        switch (o.encoding) {
            case ZYDIS_OPERAND_ENCODING_MODRM_REG:
            case ZYDIS_OPERAND_ENCODING_MODRM_RM:
            case ZYDIS_OPERAND_ENCODING_OPCODE:
            case ZYDIS_OPERAND_ENCODING_NDSNDD: break;
            default:
                // MULX reads RDX, which is RDX on the host as well.
                if (info.mnemonic == ZYDIS_MNEMONIC_MULX) break;
                if (!has_accumulator_form(info)) return false;
        }
    }
    i.uses_avx = info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX && info.meta.isa_ext != ZYDIS_ISA_EXT_BMI1 &&
                 info.meta.isa_ext != ZYDIS_ISA_EXT_BMI2;
    i.uses_avx512 = interpreter::is_avx512(i.decoded);
    i.uses_avx |= i.uses_avx512;
    i.uses_vectors |= i.uses_avx || interpreter::is_under_mxcsr(i.decoded);
    // AH and its like have no form with REX; what reads or writes them goes through a register's low byte.
    return !(high_byte && memory && (i.operand(0).type == ZYDIS_OPERAND_TYPE_REGISTER));
}

bool is_64bit_stack(const GuestInstruction& i) { return i.decoded.info.operand_width == 64; }

Kind classify_push(GuestInstruction& i) {
    if (!is_64bit_stack(i)) return Kind::kInterpreted;
    const auto& o = i.operand(0);
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER && !is_general(o)) return Kind::kInterpreted;
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && !take_memory(i, o)) return Kind::kInterpreted;
    i.second_access = stack_access(-8, true);
    i.has_second_access = true;
    return Kind::kPush;
}

Kind classify_pop(GuestInstruction& i) {
    const auto& o = i.operand(0);
    if (!is_64bit_stack(i) || o.type != ZYDIS_OPERAND_TYPE_REGISTER || !is_general(o)) return Kind::kInterpreted;
    i.access = stack_access(0, false);
    i.has_access = true;
    return Kind::kPop;
}

Kind classify_leave(GuestInstruction& i) {
    if (!is_64bit_stack(i)) return Kind::kInterpreted;
    i.access = stack_access(0, false);
    i.access.base = kRbp;
    i.has_access = true;
    return Kind::kLeave;
}

bool reads_selector(GuestInstruction& i) {
    const auto &to = i.operand(0), &from = i.operand(1);
    return from.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(from.reg.value) == ZYDIS_REGCLASS_SEGMENT &&
           (to.type == ZYDIS_OPERAND_TYPE_REGISTER || take_memory(i, to));
}

Kind classify_push_flags(GuestInstruction& i) {
    i.second_access = stack_access(-8, true);
    i.has_second_access = true;
    return Kind::kPushFlags;
}

bool is_near(const GuestInstruction& i) {
    const auto type = i.decoded.info.meta.branch_type;
    return type == ZYDIS_BRANCH_TYPE_NEAR || type == ZYDIS_BRANCH_TYPE_SHORT;
}

/// JMP and CALL. @param direct, indirect the kinds of their forms.
Kind classify_transfer(GuestInstruction& i, Kind direct, Kind indirect) {
    if (!is_near(i)) return Kind::kInterpreted;
    const bool call = direct == Kind::kCall;
    if (call) {
        i.second_access = stack_access(-8, true);
        i.has_second_access = true;
    }
    const auto& o = i.operand(0);
    if (o.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) return direct;
    if (o.size != 64) return Kind::kInterpreted;
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && !take_memory(i, o)) return Kind::kInterpreted;
    return indirect;
}

Kind classify_return(GuestInstruction& i) {
    if (!is_near(i)) return Kind::kInterpreted;
    i.access = stack_access(0, false);
    i.has_access = true;
    return Kind::kReturn;
}

/// MUL, IMUL, DIV and IDIV with one operand.
Kind classify_multiply_divide(GuestInstruction& i) {
    const auto& o = i.operand(0);
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) return take_memory(i, o) ? Kind::kMultiplyDivide : Kind::kInterpreted;
    return is_high_byte(o.reg.value) ? Kind::kInterpreted : Kind::kMultiplyDivide;
}

bool is_one_operand(const GuestInstruction& i) { return i.decoded.info.operand_count_visible == 1; }

Kind classify_shift(GuestInstruction& i) {
    const std::size_t last = i.decoded.info.operand_count_visible - 1u;
    const bool by_cl = i.operand(last).type == ZYDIS_OPERAND_TYPE_REGISTER;
    if (!by_cl) return can_be_copied(i) ? Kind::kCopied : Kind::kInterpreted;
    for (std::size_t n = 0; n < last; ++n) {
        const auto& o = i.operand(n);
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER || is_high_byte(o.reg.value)) return Kind::kInterpreted;
    }
    return Kind::kShiftByCl;
}

/// A bit in memory may lie beside the operand when its number comes from a register.
Kind classify_bit_test(GuestInstruction& i) {
    if (i.operand(0).type == ZYDIS_OPERAND_TYPE_MEMORY && i.operand(1).type == ZYDIS_OPERAND_TYPE_REGISTER) {
        if (!take_memory(i, i.operand(0))) return Kind::kInterpreted;
        i.access.bit = general_number(i.operand(1));
        i.access.element_bytes = i.access.size_bytes;
        return Kind::kBitString;
    }
    return can_be_copied(i) ? Kind::kCopied : Kind::kInterpreted;
}

Kind classify_compare_strings(GuestInstruction& i) {
    const auto& o = i.operand(1);
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY && !take_memory(i, o)) return Kind::kInterpreted;
    i.uses_vectors = true;
    i.uses_avx = i.decoded.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    return Kind::kCompareStrings;
}

Kind classify_compare_exchange(GuestInstruction& i) {
    const auto& o = i.operand(0);
    if (o.type != ZYDIS_OPERAND_TYPE_MEMORY || !take_memory(i, o) || is_high_byte(i.operand(1).reg.value))
        return Kind::kInterpreted;
    return Kind::kCompareExchange;
}

Kind copied_if_possible(GuestInstruction& i) { return can_be_copied(i) ? Kind::kCopied : Kind::kInterpreted; }

bool has_mmx_operand(const GuestInstruction& i) {
    return std::ranges::any_of(i.decoded.operands.begin(), i.decoded.operands.begin() + i.decoded.info.operand_count,
                               [](const ZydisDecodedOperand& o) {
                                   return o.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                                          ZydisRegisterGetClass(o.reg.value) == ZYDIS_REGCLASS_MMX;
                               });
}

/// Its pointers must not be the host's, or exceptions may be unmasked by it.
bool is_about_x87_state(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FLDENV:
        case ZYDIS_MNEMONIC_FRSTOR:
        case ZYDIS_MNEMONIC_FLDCW:
        case ZYDIS_MNEMONIC_FNCLEX:
        case ZYDIS_MNEMONIC_FNINIT:
        case ZYDIS_MNEMONIC_FWAIT: return true;
        default: return false;
    }
}

/// In registers of full width, and not relative to FS or GS.
Kind classify_string(const GuestInstruction& i) {
    const auto& info = i.decoded.info;
    const bool repeats = (info.attributes & ZYDIS_ATTRIB_HAS_REP) != 0;
    const ZydisRegister segment =
        i.operand(1).type == ZYDIS_OPERAND_TYPE_MEMORY ? i.operand(1).mem.segment : ZYDIS_REGISTER_NONE;
    const bool flat = segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS;
    return repeats && flat && info.address_width == 64 ? Kind::kString : Kind::kCalled;
}

Kind classify_lea(GuestInstruction& i) {
    const auto& info = i.decoded.info;
    if (info.operand_width == 16 || !take_memory(i, i.operand(1))) return Kind::kInterpreted;
    i.has_access = false; // an address only
    i.access.has_base_segment = false;
    return Kind::kLea;
}

Kind kind_of(GuestInstruction& i, bool supervisor) {
    const auto& info = i.decoded.info;
    switch (info.mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
            if (reads_selector(i)) return Kind::kReadSelector;
            return copied_if_possible(i);
        case ZYDIS_MNEMONIC_MOVZX:
        case ZYDIS_MNEMONIC_MOVSX:
        case ZYDIS_MNEMONIC_MOVSXD:
        case ZYDIS_MNEMONIC_ADD:
        case ZYDIS_MNEMONIC_ADC:
        case ZYDIS_MNEMONIC_SUB:
        case ZYDIS_MNEMONIC_SBB:
        case ZYDIS_MNEMONIC_AND:
        case ZYDIS_MNEMONIC_OR:
        case ZYDIS_MNEMONIC_XOR:
        case ZYDIS_MNEMONIC_CMP:
        case ZYDIS_MNEMONIC_TEST:
        case ZYDIS_MNEMONIC_INC:
        case ZYDIS_MNEMONIC_DEC:
        case ZYDIS_MNEMONIC_NEG:
        case ZYDIS_MNEMONIC_NOT:
        case ZYDIS_MNEMONIC_XCHG:
        case ZYDIS_MNEMONIC_XADD:
        case ZYDIS_MNEMONIC_BSWAP:
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR:
        case ZYDIS_MNEMONIC_CLC:
        case ZYDIS_MNEMONIC_STC:
        case ZYDIS_MNEMONIC_CMC:
        case ZYDIS_MNEMONIC_PAUSE:
        case ZYDIS_MNEMONIC_LFENCE:
        case ZYDIS_MNEMONIC_MFENCE:
        case ZYDIS_MNEMONIC_SFENCE: return copied_if_possible(i);
        case ZYDIS_MNEMONIC_SHL:
        case ZYDIS_MNEMONIC_SHR:
        case ZYDIS_MNEMONIC_SAR:
        case ZYDIS_MNEMONIC_ROL:
        case ZYDIS_MNEMONIC_ROR:
        case ZYDIS_MNEMONIC_RCL:
        case ZYDIS_MNEMONIC_RCR:
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD: return classify_shift(i);
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC: return classify_bit_test(i);
        case ZYDIS_MNEMONIC_IMUL: return is_one_operand(i) ? classify_multiply_divide(i) : copied_if_possible(i);
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV: return classify_multiply_divide(i);
        case ZYDIS_MNEMONIC_PCMPESTRI:
        case ZYDIS_MNEMONIC_PCMPESTRM:
        case ZYDIS_MNEMONIC_PCMPISTRI:
        case ZYDIS_MNEMONIC_PCMPISTRM:
        case ZYDIS_MNEMONIC_VPCMPESTRI:
        case ZYDIS_MNEMONIC_VPCMPESTRM:
        case ZYDIS_MNEMONIC_VPCMPISTRI:
        case ZYDIS_MNEMONIC_VPCMPISTRM:
            return interpreter::is_native(i.decoded) ? classify_compare_strings(i) : Kind::kInterpreted;
        case ZYDIS_MNEMONIC_CMPXCHG: return classify_compare_exchange(i);
        case ZYDIS_MNEMONIC_CBW:
        case ZYDIS_MNEMONIC_CWDE:
        case ZYDIS_MNEMONIC_CDQE:
        case ZYDIS_MNEMONIC_CWD:
        case ZYDIS_MNEMONIC_CDQ:
        case ZYDIS_MNEMONIC_CQO: return Kind::kSignExtend;
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_ENDBR64:
        case ZYDIS_MNEMONIC_ENDBR32:
        case ZYDIS_MNEMONIC_PREFETCHT0:
        case ZYDIS_MNEMONIC_PREFETCHT1:
        case ZYDIS_MNEMONIC_PREFETCHT2:
        case ZYDIS_MNEMONIC_PREFETCHNTA:
        case ZYDIS_MNEMONIC_PREFETCHW: return Kind::kNothing;
        case ZYDIS_MNEMONIC_LEA: return classify_lea(i);
        case ZYDIS_MNEMONIC_PUSH: return classify_push(i);
        case ZYDIS_MNEMONIC_POP: return classify_pop(i);
        case ZYDIS_MNEMONIC_LEAVE: return classify_leave(i);
        case ZYDIS_MNEMONIC_JMP: return classify_transfer(i, Kind::kJump, Kind::kJumpIndirect);
        case ZYDIS_MNEMONIC_CALL: return classify_transfer(i, Kind::kCall, Kind::kCallIndirect);
        case ZYDIS_MNEMONIC_RET: return classify_return(i);
        case ZYDIS_MNEMONIC_STAC:
        case ZYDIS_MNEMONIC_CLAC: return supervisor ? Kind::kUserAccess : Kind::kInterpreted;
        case ZYDIS_MNEMONIC_VZEROUPPER:
        case ZYDIS_MNEMONIC_VZEROALL: i.uses_vectors = i.uses_avx = true; return Kind::kCopied;
        case ZYDIS_MNEMONIC_CMPXCHG16B: return take_memory(i, i.operand(0)) ? Kind::kCompareExchange : Kind::kCalled;
        case ZYDIS_MNEMONIC_MOVSB:
        case ZYDIS_MNEMONIC_MOVSW:
        case ZYDIS_MNEMONIC_MOVSQ:
        case ZYDIS_MNEMONIC_STOSB:
        case ZYDIS_MNEMONIC_STOSW:
        case ZYDIS_MNEMONIC_STOSD:
        case ZYDIS_MNEMONIC_STOSQ: return classify_string(i);
        case ZYDIS_MNEMONIC_MOVSD:
            return info.meta.category == ZYDIS_CATEGORY_STRINGOP ? classify_string(i) : copied_if_possible(i);
        case ZYDIS_MNEMONIC_PUSHFQ: return classify_push_flags(i);
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_STI: return supervisor ? Kind::kInterruptFlag : Kind::kCalled;
        case ZYDIS_MNEMONIC_CLD:
        case ZYDIS_MNEMONIC_STD: return Kind::kDirectionFlag;
        case ZYDIS_MNEMONIC_SWAPGS: return supervisor ? Kind::kSwapGs : Kind::kCalled;
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDTSCP: return Kind::kReadTimeStamp;
        case ZYDIS_MNEMONIC_RDFSBASE:
        case ZYDIS_MNEMONIC_RDGSBASE:
        case ZYDIS_MNEMONIC_WRFSBASE:
        case ZYDIS_MNEMONIC_WRGSBASE: return Kind::kSegmentBase;
        default: break;
    }
    switch (info.meta.category) {
        case ZYDIS_CATEGORY_COND_BR: {
            const bool counts = info.mnemonic == ZYDIS_MNEMONIC_JCXZ || info.mnemonic == ZYDIS_MNEMONIC_JECXZ ||
                                info.mnemonic == ZYDIS_MNEMONIC_JRCXZ || info.mnemonic == ZYDIS_MNEMONIC_LOOP ||
                                info.mnemonic == ZYDIS_MNEMONIC_LOOPE || info.mnemonic == ZYDIS_MNEMONIC_LOOPNE;
            return counts ? Kind::kInterpreted : Kind::kJumpIf;
        }
        case ZYDIS_CATEGORY_CMOV:
        case ZYDIS_CATEGORY_SETCC: return copied_if_possible(i);
        default: break;
    }
    if (!interpreter::is_native(i.decoded)) return Kind::kInterpreted;
    const bool x87 =
        interpreter::is_x87_opcode(i.decoded) || info.meta.isa_ext == ZYDIS_ISA_EXT_MMX || has_mmx_operand(i);
    if (!x87) return copied_if_possible(i);
    // With a vector in it as well (CVTPI2PS), or the state itself: rare.
    if (is_about_x87_state(info.mnemonic) || !can_be_copied(i) || i.uses_vectors) return Kind::kInterpreted;
    i.uses_x87 = true;
    return Kind::kCopied;
}

/// ADC and SBB add it, INC and DEC keep it.
bool reads_carry_only(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_ADC || mnemonic == ZYDIS_MNEMONIC_SBB || mnemonic == ZYDIS_MNEMONIC_INC ||
           mnemonic == ZYDIS_MNEMONIC_DEC;
}

FlagUse flag_use(const GuestInstruction& i) {
    const auto* flags = i.decoded.info.cpu_flags;
    if (flags == nullptr) return {};
    const ZydisAccessedFlagsMask written = (flags->modified | flags->set_0 | flags->set_1 | flags->undefined) & kStatus;
    FlagUse use;
    use.writes = written != 0;
    use.overwrites = written == kStatus && i.kind != Kind::kShiftByCl;
    use.reads = (flags->tested & kStatus) != 0 || (use.writes && !use.overwrites);
    use.passes_on = i.kind == Kind::kShiftByCl && (flags->tested & kStatus) == 0; // RCL and RCR take CF in
    use.reads_carry_only = reads_carry_only(i.decoded.info.mnemonic);
    return use;
}

/// A shift by a constant that is 0 modulo the width changes nothing.
bool is_shift_by_nothing(const GuestInstruction& i) {
    if (!is_shift(i)) return false;
    const auto& last = i.operand(i.decoded.info.operand_count_visible - 1u);
    if (last.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return false;
    return (last.imm.value.u & (i.decoded.info.operand_width == 64 ? 63u : 31u)) == 0;
}

/// What translated code relies on, or where it goes on, may be different afterwards.
bool changes_more_than_registers(const GuestInstruction& i) {
    const auto& info = i.decoded.info;
    switch (info.meta.category) {
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET: return true;
        default: break;
    }
    switch (info.mnemonic) {
        case ZYDIS_MNEMONIC_MOV: {
            const auto& to = i.operand(0);
            if (to.type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
            const auto kind = ZydisRegisterGetClass(to.reg.value);
            return kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG;
        }
        case ZYDIS_MNEMONIC_HLT:
        case ZYDIS_MNEMONIC_INVLPG:
        case ZYDIS_MNEMONIC_INVPCID:
        case ZYDIS_MNEMONIC_WRMSR:
        case ZYDIS_MNEMONIC_XSETBV:
        case ZYDIS_MNEMONIC_LMSW:
        case ZYDIS_MNEMONIC_CLTS:
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_VLDMXCSR:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64:
        case ZYDIS_MNEMONIC_XRSTOR:
        case ZYDIS_MNEMONIC_XRSTOR64:
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2: return true;
        default: return false;
    }
}

bool may_divide_by_zero(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_DIV || mnemonic == ZYDIS_MNEMONIC_IDIV;
}

/// Flags that the manuals call undefined depend on what they were before.
bool keeps_undefined_flags(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_IMUL:
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV:
        case ZYDIS_MNEMONIC_LZCNT:
        case ZYDIS_MNEMONIC_TZCNT:
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR: return true;
        default: return false;
    }
}

} // namespace

bool is_shift(const GuestInstruction& i) {
    const auto& info = i.decoded.info;
    return info.meta.category == ZYDIS_CATEGORY_SHIFT || info.mnemonic == ZYDIS_MNEMONIC_SHLD ||
           info.mnemonic == ZYDIS_MNEMONIC_SHRD;
}

void classify(GuestInstruction& i, bool supervisor) {
    i.has_access = i.has_second_access = false;
    i.uses_vectors = i.uses_avx = i.uses_avx512 = i.uses_x87 = false;
    i.kind = kind_of(i, supervisor);
    if (i.kind == Kind::kInterpreted) i.kind = changes_more_than_registers(i) ? Kind::kTransferred : Kind::kCalled;
    const bool is_own = i.kind != Kind::kTransferred && i.kind != Kind::kCalled;
    if (!is_own) {
        i.has_access = i.has_second_access = false;
        i.uses_vectors = i.uses_avx = i.uses_avx512 = i.uses_x87 = false;
    }
    i.flags = flag_use(i);
    // The interpreter wants them all in place: it does what may change none of them after all (a shift of memory by a
    // CL of 0, a repeated comparison with an RCX of 0), and what pushes them.
    if (!is_own || is_shift_by_nothing(i) || keeps_undefined_flags(i.decoded.info.mnemonic)) {
        i.flags.overwrites = false;
        i.flags.reads = true;
        i.flags.passes_on = !may_divide_by_zero(i.decoded.info.mnemonic); // a fault shows them
    }
    place(i, i.offset);
}

void place(GuestInstruction& i, std::uint16_t offset) {
    i.offset = offset;
    if (i.kind == Kind::kJump || i.kind == Kind::kJumpIf || i.kind == Kind::kCall)
        i.target = static_cast<std::uint32_t>(i.next_offset() + static_cast<std::int32_t>(i.operand(0).imm.value.s));
    if ((i.has_access || i.kind == Kind::kLea) && i.access.base == MemoryAccess::kRip)
        i.access.displacement = static_cast<std::int32_t>(i.decoded.info.raw.disp.value) + i.next_offset();
}

} // namespace touka::cpu::translator
