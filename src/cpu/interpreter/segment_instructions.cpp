#include "cpu/interpreter/segment_instructions.hpp"

#include <utility>

#include "cpu/interpreter/far_transfer.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/segmentation.hpp"
#include "cpu/interpreter/stack.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

[[nodiscard]] bool is_segment(const Instruction& i, std::size_t index) {
    return i.operands[index].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(i.operands[index].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

[[nodiscard]] SegmentName name_of(const Instruction& i, std::size_t index) {
    return static_cast<SegmentName>(ZydisRegisterGetId(i.operands[index].reg.value));
}

/// Loading SS holds interrupts and debug traps off until the next instruction is done, so that it can load SP.
/// (APM vol. 2 §8.5)
[[nodiscard]] Outcome done_loading(Processor& p, SegmentName name) {
    if (name == SegmentName::kSs) p.interrupt_shadow = p.debug_shadow = true;
    return done_anew(p);
}

[[nodiscard]] SegmentName far_pointer_segment(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_LDS: return SegmentName::kDs;
        case ZYDIS_MNEMONIC_LES: return SegmentName::kEs;
        case ZYDIS_MNEMONIC_LSS: return SegmentName::kSs;
        case ZYDIS_MNEMONIC_LFS: return SegmentName::kFs;
        default: return SegmentName::kGs;
    }
}

} // namespace

Outcome execute_move_segment(Processor& p, const Instruction& i) {
    if (!is_segment(i, 0)) return done(write_operand(p, i, 0, p.segment(name_of(i, 1)).selector));
    const SegmentName name = name_of(i, 0);
    std::uint64_t value = 0;
    if (!read_operand(p, i, 1, value) || !load_segment(p, name, static_cast<std::uint16_t>(value)))
        return Outcome::kFault;
    return done_loading(p, name);
}

Outcome execute_push_segment(Processor& p, const Instruction& i) {
    StackCursor stack(p);
    if (!stack.push(p.segment(name_of(i, 0)).selector, i.info.operand_width / 8u)) return Outcome::kFault;
    stack.commit();
    return Outcome::kNext;
}

Outcome execute_pop_segment(Processor& p, const Instruction& i) {
    const SegmentName name = name_of(i, 0);
    StackCursor stack(p);
    std::uint64_t value = 0;
    if (!stack.pop(value, i.info.operand_width / 8u) || !load_segment(p, name, static_cast<std::uint16_t>(value)))
        return Outcome::kFault;
    stack.commit();
    return done_loading(p, name);
}

Outcome execute_load_far_pointer(Processor& p, const Instruction& i) {
    const SegmentName name = far_pointer_segment(i.info.mnemonic);
    FarPointer pointer;
    if (!read_far_pointer(p, i, 1, pointer) || !load_segment(p, name, pointer.selector)) return Outcome::kFault;
    if (!write_operand(p, i, 0, pointer.offset)) return Outcome::kFault;
    return done_anew(p);
}

Outcome execute_swapgs(Processor& p, const Instruction&) {
    if (!in_64bit_code(p)) return fault(p, Exception::kInvalidOpcode);
    if (!require_privilege(p)) return Outcome::kFault;
    std::swap(p.segment(SegmentName::kGs).base, p.msr.kernel_gs_base);
    return Outcome::kNext;
}

Outcome execute_segment_base(Processor& p, const Instruction& i) {
    if (!in_64bit_code(p) || (p.cr4 & cr4::FSGSBASE) == 0) return fault(p, Exception::kInvalidOpcode);
    const ZydisMnemonic mnemonic = i.info.mnemonic;
    const bool is_fs = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_WRFSBASE;
    const bool reads = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_RDGSBASE;
    std::uint64_t& base = p.segment(is_fs ? SegmentName::kFs : SegmentName::kGs).base;
    if (reads) return done(write_operand(p, i, 0, base));
    std::uint64_t value = 0;
    if (!read_operand(p, i, 0, value)) return Outcome::kFault;
    if (!is_canonical(value)) return fault(p, Exception::kGeneralProtection);
    base = value;
    return Outcome::kNext;
}

} // namespace touka::cpu::interpreter
