// LGDT, LIDT, LLDT, LTR and their stores.
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/segment_instructions.hpp"
#include "cpu/interpreter/segmentation.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

/// SGDT, SIDT, SLDT, STR and SMSW are privileged with CR4.UMIP. (APM vol. 2 §3.1.3)
[[nodiscard]] bool may_look(Processor& p) { return (p.cr4 & cr4::UMIP) == 0 || require_privilege(p); }

[[nodiscard]] unsigned base_bytes(const Processor& p) { return in_64bit_code(p) ? 8 : 4; }

/// A selector for LDTR or TR that names a present system descriptor of the GDT of one of two types.
[[nodiscard]] bool read_system_segment(Processor& p, std::uint16_t selector, SystemType type, SystemType other,
                                       DescriptorReference& reference, SegmentState& segment) {
    const std::uint32_t error = selector_error(selector);
    if (Selector{selector}.get(selector::TI)) return p.raise(Exception::kGeneralProtection, error);
    if (!read_descriptor(p, selector, Exception::kGeneralProtection, reference)) return false;
    const auto found = static_cast<SystemType>(reference.descriptor.get(descriptor::TYPE));
    if (reference.descriptor.get(descriptor::S) || (found != type && found != other))
        return p.raise(Exception::kGeneralProtection, error);
    if (!reference.descriptor.get(descriptor::P)) return p.raise(Exception::kSegmentNotPresent, error);
    segment = make_segment(selector, reference.descriptor);
    if (!p.long_mode) return true;
    std::uint64_t upper = 0;
    if (!read_upper_descriptor(p, reference, upper)) return false;
    segment.base |= upper << 32;
    if (!is_canonical(segment.base)) return p.raise(Exception::kGeneralProtection, error);
    return true;
}

[[nodiscard]] bool read_selector(Processor& p, const Instruction& i, std::uint16_t& selector) {
    std::uint64_t value = 0;
    if (!read_operand(p, i, 0, value)) return false;
    selector = static_cast<std::uint16_t>(value);
    return true;
}

} // namespace

Outcome execute_load_table(Processor& p, const Instruction& i) {
    if (!require_privilege(p)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!operand_address(p, i, 0, 2 + base_bytes(p), false, linear)) return Outcome::kFault;
    TableRegister table;
    if (!read_linear(p, linear, table.limit)) return Outcome::kFault;
    if (base_bytes(p) == 8) {
        if (!read_linear(p, linear + 2, table.base)) return Outcome::kFault;
        if (!is_canonical(table.base)) return fault(p, Exception::kGeneralProtection);
    } else {
        std::uint32_t base = 0;
        if (!read_linear(p, linear + 2, base)) return Outcome::kFault;
        table.base = i.info.operand_width == 16 ? base & 0xFF'FFFF : base;
    }
    (i.info.mnemonic == ZYDIS_MNEMONIC_LGDT ? p.gdtr : p.idtr) = table;
    return Outcome::kNext;
}

Outcome execute_store_table(Processor& p, const Instruction& i) {
    if (!may_look(p)) return Outcome::kFault;
    const TableRegister& table = i.info.mnemonic == ZYDIS_MNEMONIC_SGDT ? p.gdtr : p.idtr;
    const unsigned bytes = base_bytes(p);
    std::uint64_t linear = 0;
    if (!operand_address(p, i, 0, 2 + bytes, true, linear) || !write_linear(p, linear, table.limit))
        return Outcome::kFault;
    return done(bytes == 8 ? write_linear(p, linear + 2, table.base)
                           : write_linear(p, linear + 2, static_cast<std::uint32_t>(table.base)));
}

Outcome execute_lldt(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    std::uint16_t selector = 0;
    if (!require_privilege(p) || !read_selector(p, i, selector)) return Outcome::kFault;
    if (is_null(selector)) {
        p.ldtr = make_null_segment(selector, 0);
        return Outcome::kNext;
    }
    DescriptorReference reference;
    SegmentState segment;
    if (!read_system_segment(p, selector, SystemType::kLdt, SystemType::kLdt, reference, segment))
        return Outcome::kFault;
    p.ldtr = segment;
    return Outcome::kNext;
}

Outcome execute_ltr(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    std::uint16_t selector = 0;
    if (!require_privilege(p) || !read_selector(p, i, selector)) return Outcome::kFault;
    if (is_null(selector)) return fault(p, Exception::kGeneralProtection);
    const SystemType other = p.long_mode ? SystemType::kTssAvailable : SystemType::kTss16Available;
    DescriptorReference reference;
    SegmentState segment;
    if (!read_system_segment(p, selector, SystemType::kTssAvailable, other, reference, segment)) return Outcome::kFault;
    segment.attributes |= attribute::kBusy;
    const auto type_byte = static_cast<std::uint8_t>(segment.attributes);
    if (!write_linear(p, reference.linear + descriptor::kTypeByteOffset, type_byte, Privilege::kSupervisor))
        return Outcome::kFault;
    p.tr = segment;
    return Outcome::kNext;
}

Outcome execute_store_selector(Processor& p, const Instruction& i) {
    if (!p.protected_mode) return fault(p, Exception::kInvalidOpcode);
    if (!may_look(p)) return Outcome::kFault;
    return done(write_operand(p, i, 0, i.info.mnemonic == ZYDIS_MNEMONIC_SLDT ? p.ldtr.selector : p.tr.selector));
}

} // namespace touka::cpu::interpreter
