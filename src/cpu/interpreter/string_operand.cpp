#include "cpu/interpreter/string_operand.hpp"

#include "cpu/interpreter/segment_access.hpp"

namespace touka::cpu::interpreter {

bool set_string(Draft& draft) {
    const auto& info = draft.instruction.info;
    if (info.meta.category != ZYDIS_CATEGORY_STRINGOP && info.meta.category != ZYDIS_CATEGORY_IOSTRINGOP) return false;
    Op& op = draft.op;
    op.segment = static_cast<std::uint8_t>(SegmentName::kDs);
    for (std::size_t i = 0; i < info.operand_count; ++i) {
        if (!draft.is_memory(i)) continue;
        const ZydisRegister base = draft.operand(i).mem.base;
        const bool is_source = base == ZYDIS_REGISTER_SI || base == ZYDIS_REGISTER_ESI || base == ZYDIS_REGISTER_RSI;
        if (is_source) op.segment = static_cast<std::uint8_t>(segment_name(draft.operand(i).mem.segment));
    }
    op.address = info.address_width == 64   ? address_form::k64
                 : info.address_width == 32 ? address_form::k32
                                            : address_form::k16;
    auto repeat = Repeat::kNone;
    if ((info.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0) repeat = Repeat::kWhileEqual;
    if ((info.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0) repeat = Repeat::kWhileNotEqual;
    op.variant = static_cast<std::uint8_t>(repeat);
    return true;
}

StringOperands::StringOperands(const Processor& p, const Op* op)
    : mask_(op->address == address_form::k64   ? ~std::uint64_t{0}
            : op->address == address_form::k32 ? 0xFFFF'FFFF
                                               : 0xFFFF),
      segment_(static_cast<SegmentName>(op->segment)), descending_((p.system_flags & spec::x86::rflags::DF) != 0),
      plain_and_ascending_(!descending_ && op->address == address_form::k64) {}

std::uint64_t StringOperands::address(Processor& p, SegmentName segment, std::uint64_t offset, unsigned length_bytes,
                                      bool write) const {
    std::uint64_t linear = 0;
    return segment_address(p, segment, offset & mask_, length_bytes, write, linear) ? linear : kNoAddress;
}

void StringOperands::set_register(Processor& p, Gpr name, std::uint64_t value) const {
    if (mask_ == 0xFFFF) return set(p, gpr_offset(name), static_cast<std::uint16_t>(value));
    p.gpr(name) = value & mask_;
}

void StringOperands::advance(Processor& p, unsigned element_bytes, std::uint64_t count, bool source,
                             bool destination) const {
    const std::uint64_t distance = descending_ ? 0 - element_bytes * count : element_bytes * count;
    if (source) set_register(p, Gpr::kRsi, p.gpr(Gpr::kRsi) + distance);
    if (destination) set_register(p, Gpr::kRdi, p.gpr(Gpr::kRdi) + distance);
}

Link* leave_unfinished(Processor& p, const Op* op) {
    p.rip = own_rip(p, op);
    p.system_flags |= spec::x86::rflags::RF;
    p.attention = true;
    return nullptr;
}

} // namespace touka::cpu::interpreter
