// CLC, STC, CMC, CLD, STD, CLI, STI, STAC and CLAC. (AMD64 APM vol. 3 rev. 3.36)

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

Link* clc(Processor& p, const Op* op) {
    p.regs.status.packed = static_cast<std::uint16_t>(p.regs.status.packed & ~StatusFlags::kCF);
    return next(p, op);
}
Link* stc(Processor& p, const Op* op) {
    p.regs.status.packed = static_cast<std::uint16_t>(p.regs.status.packed | StatusFlags::kCF);
    return next(p, op);
}
Link* cmc(Processor& p, const Op* op) {
    p.regs.status.packed = static_cast<std::uint16_t>(p.regs.status.packed ^ StatusFlags::kCF);
    return next(p, op);
}
Link* cld(Processor& p, const Op* op) {
    p.system_flags &= ~rflags::DF;
    return next(p, op);
}
/// STD, whose mnemonic is a namespace here.
Link* set_direction(Processor& p, const Op* op) {
    p.system_flags |= rflags::DF;
    return next(p, op);
}

[[nodiscard]] bool interrupt_flag_allowed(Processor& p) {
    const std::uint64_t privilege = (p.system_flags & rflags::IOPL) >> 12;
    return !p.protected_mode || p.cpl <= privilege || p.raise(Exception::kGeneralProtection);
}

Link* cli(Processor& p, const Op* op) {
    if (!interrupt_flag_allowed(p)) return stop(p, op);
    p.system_flags &= ~rflags::IF;
    return next(p, op);
}

/// Interrupts wait for one more instruction.
Link* sti(Processor& p, const Op* op) {
    if (!interrupt_flag_allowed(p)) return stop(p, op);
    if ((p.system_flags & rflags::IF) != 0) return next(p, op);
    p.system_flags |= rflags::IF;
    p.interrupt_shadow = true;
    return leave_after(p, op);
}

template <bool Set>
Link* access_flag(Processor& p, const Op* op) {
    if (p.cpl != 0 || !p.protected_mode) {
        p.raise(Exception::kInvalidOpcode);
        return stop(p, op);
    }
    p.system_flags = Set ? p.system_flags | rflags::AC : p.system_flags & ~rflags::AC;
    select_tlb(p);
    return next(p, op);
}

} // namespace

void add_flag_control(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_CLC] = &build_plain<&clc>;
    table[ZYDIS_MNEMONIC_STC] = &build_plain<&stc>;
    table[ZYDIS_MNEMONIC_CMC] = &build_plain<&cmc>;
    table[ZYDIS_MNEMONIC_CLD] = &build_plain<&cld>;
    table[ZYDIS_MNEMONIC_STD] = &build_plain<&set_direction>;
    table[ZYDIS_MNEMONIC_CLI] = &build_plain<&cli>;
    table[ZYDIS_MNEMONIC_STI] = &build_plain<&sti>;
    table[ZYDIS_MNEMONIC_STAC] = &build_plain<&access_flag<true>>;
    table[ZYDIS_MNEMONIC_CLAC] = &build_plain<&access_flag<false>>;
}

} // namespace touka::cpu::interpreter
