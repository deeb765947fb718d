#include "cpu/interpreter/fast_system_call.hpp"

#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/segmentation.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;
using Vendor = ProcessorModel::Vendor;

namespace {

constexpr std::uint16_t kCode = attribute::kCode | attribute::kReadable, kData = attribute::kWritable | attribute::DB;
constexpr std::uint16_t kCode32 = kCode | attribute::DB, kCode64 = kCode | attribute::L;
/// RFLAGS bits that SYSRET takes from R11: all defined ones but RF and VM.
constexpr std::uint64_t kSysretFlags = 0x3C'7FD7;

/// Flat CS and SS of privilege `cpl`; then rip and the mode.
void enter_flat(Processor& p, unsigned cs, unsigned ss, std::uint16_t code_attributes, std::uint8_t cpl,
                std::uint64_t rip) {
    const auto dpl = static_cast<std::uint16_t>(cpl << attribute::kDplShift);
    p.segment(SegmentName::kSs) =
        make_flat_segment(static_cast<std::uint16_t>(ss), static_cast<std::uint16_t>(kData | dpl));
    enter(p,
          {make_flat_segment(static_cast<std::uint16_t>(cs), static_cast<std::uint16_t>(code_attributes | dpl)), rip});
}

[[nodiscard]] bool has_syscall_here(const Processor& p) {
    if ((p.msr.efer & efer::SCE) == 0 || !p.protected_mode) return false;
    return p.model.vendor == Vendor::kAmd || in_64bit_code(p);
}

} // namespace

Outcome execute_syscall(Processor& p, const Instruction&) {
    if (!has_syscall_here(p)) return fault(p, Exception::kInvalidOpcode);
    const auto cs = static_cast<unsigned>(p.msr.star >> 32) & 0xFFFC;
    const unsigned ss = cs + 8;
    p.gpr(Gpr::kRcx) = p.next_rip;
    if (!p.long_mode) {
        p.system_flags &= ~(rflags::IF | rflags::VM | rflags::RF);
        enter_flat(p, cs, ss, kCode32, 0, p.msr.star & 0xFFFF'FFFF);
        return Outcome::kJumped;
    }
    const std::uint64_t flags = p.rflags() & ~rflags::RF;
    const std::uint64_t target = in_64bit_code(p) ? p.msr.lstar : p.msr.cstar;
    p.gpr(Gpr::kR11) = flags;
    p.set_rflags(flags & ~p.msr.syscall_mask);
    enter_flat(p, cs, ss, kCode64, 0, target);
    return Outcome::kJumped;
}

Outcome execute_sysret(Processor& p, const Instruction& i) {
    if (!has_syscall_here(p)) return fault(p, Exception::kInvalidOpcode);
    if (p.cpl != 0) return fault(p, Exception::kGeneralProtection);
    const auto base = static_cast<unsigned>(p.msr.star >> 48);
    const bool to_64bit = in_64bit_code(p) && i.info.operand_width == 64;
    const std::uint64_t rcx = p.gpr(Gpr::kRcx);
    // Intel's processors check the target while still in ring 0; AMD's fault at the first fetch in ring 3.
    if (to_64bit && p.model.vendor == Vendor::kIntel && !is_canonical(rcx))
        return fault(p, Exception::kGeneralProtection);
    if (p.long_mode)
        p.set_rflags(p.gpr(Gpr::kR11) & kSysretFlags);
    else
        p.system_flags |= rflags::IF;
    const unsigned cs = ((to_64bit ? base + 16 : base) & 0xFFFC) | 3;
    // The attributes of SS are loaded on AMD processors too, which keep the old ones: guests that work around that
    // (Linux, X86_BUG_SYSRET_SS_ATTRS) see no difference.
    const unsigned ss = p.model.vendor == Vendor::kIntel ? ((base + 8) & 0xFFFC) | 3 : base + 8;
    enter_flat(p, cs, ss, to_64bit ? kCode64 : kCode32, 3, to_64bit ? rcx : rcx & 0xFFFF'FFFF);
    return Outcome::kJumped;
}

Outcome execute_sysenter(Processor& p, const Instruction&) {
    if (p.model.vendor == Vendor::kAmd && p.long_mode) return fault(p, Exception::kInvalidOpcode);
    const auto cs = static_cast<unsigned>(p.msr.sysenter_cs) & 0xFFFC;
    if (!p.protected_mode || cs == 0) return fault(p, Exception::kGeneralProtection);
    p.system_flags &= ~(rflags::IF | rflags::VM | rflags::RF);
    const std::uint64_t mask = p.long_mode ? ~std::uint64_t{0} : 0xFFFF'FFFF;
    p.gpr(Gpr::kRsp) = p.msr.sysenter_esp & mask;
    enter_flat(p, cs, cs + 8, p.long_mode ? kCode64 : kCode32, 0, p.msr.sysenter_eip & mask);
    return Outcome::kJumped;
}

Outcome execute_sysexit(Processor& p, const Instruction& i) {
    if (p.model.vendor == Vendor::kAmd && p.long_mode) return fault(p, Exception::kInvalidOpcode);
    const auto base = static_cast<unsigned>(p.msr.sysenter_cs) & 0xFFFC;
    if (!p.protected_mode || p.cpl != 0 || base == 0) return fault(p, Exception::kGeneralProtection);
    const bool to_64bit = in_64bit_code(p) && i.info.operand_width == 64;
    const std::uint64_t rip = p.gpr(Gpr::kRdx), rsp = p.gpr(Gpr::kRcx);
    if (to_64bit && (!is_canonical(rip) || !is_canonical(rsp))) return fault(p, Exception::kGeneralProtection);
    const std::uint64_t mask = to_64bit ? ~std::uint64_t{0} : 0xFFFF'FFFF;
    p.gpr(Gpr::kRsp) = rsp & mask;
    const unsigned cs = (base + (to_64bit ? 32u : 16u)) | 3;
    enter_flat(p, cs, cs + 8, to_64bit ? kCode64 : kCode32, 3, rip & mask);
    return Outcome::kJumped;
}

} // namespace touka::cpu::interpreter
