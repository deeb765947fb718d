#include "cpu/interpreter/system_registers.hpp"

#include "cpu/interpreter/control_registers.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/msr.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "cpu/interpreter/xsave.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/debug_register.hpp"
#include "spec/x86/msr.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

[[nodiscard]] bool is_class(const Instruction& i, std::size_t index, ZydisRegisterClass wanted) {
    return i.operands[index].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(i.operands[index].reg.value) == wanted;
}

[[nodiscard]] unsigned number(const Instruction& i, std::size_t index) {
    return static_cast<unsigned>(ZydisRegisterGetId(i.operands[index].reg.value));
}

void set_pair(Processor& p, std::uint64_t value) {
    p.gpr(Gpr::kRax) = static_cast<std::uint32_t>(value);
    p.gpr(Gpr::kRdx) = value >> 32;
}

[[nodiscard]] std::uint64_t pair(Processor& p) {
    return (p.gpr(Gpr::kRdx) << 32) | static_cast<std::uint32_t>(p.gpr(Gpr::kRax));
}

[[nodiscard]] bool write_cr8(Processor& p, std::uint64_t value) {
    if (value > 15) return p.raise(Exception::kGeneralProtection);
    p.interrupts.set_task_priority_class(static_cast<std::uint8_t>(value));
    return true;
}

[[nodiscard]] bool write_control(Processor& p, unsigned index, std::uint64_t value) {
    switch (index) {
        case 0: return write_cr0(p, value);
        case 2: p.cr2 = value; return true;
        case 3: return write_cr3(p, value);
        case 4: return write_cr4(p, value);
        default: return write_cr8(p, value);
    }
}

[[nodiscard]] std::uint64_t read_control(const Processor& p, unsigned index) {
    switch (index) {
        case 0: return p.cr0;
        case 2: return p.cr2;
        case 3: return p.cr3;
        case 4: return p.cr4;
        default: return p.interrupts.task_priority_class();
    }
}

[[nodiscard]] constexpr bool control_exists(unsigned index) {
    return index == 0 || (index >= 2 && index <= 4) || index == 8;
}

[[nodiscard]] bool write_debug(Processor& p, unsigned index, std::uint64_t value) {
    if (index >= 6 && (value >> 32) != 0) return p.raise(Exception::kGeneralProtection);
    if (index == 6) value = (value & dr6::kWritable) | dr6::kFixed;
    if (index == 7) value = (value & dr7::kWritable) | dr7::kFixed;
    p.dr[index] = value;
    return true;
}

/// The parts of CPUID that follow the processor's registers.
void fill_dynamic(Processor& p, std::uint32_t leaf, std::uint32_t subleaf, CpuidRegisters& r) {
    constexpr std::uint64_t kApicGlobalEnable = 1u << 11;
    if (leaf == cpuid::kFeatures) {
        r.ecx &= ~cpuid::leaf1_ecx::OSXSAVE;
        if ((p.cr4 & cr4::OSXSAVE) != 0) r.ecx |= cpuid::leaf1_ecx::OSXSAVE;
        if ((p.interrupts.read_msr(msr::kApicBase).value_or(0) & kApicGlobalEnable) == 0)
            r.edx &= ~cpuid::leaf1_edx::APIC;
    }
    if (leaf == cpuid::kXsave && r.eax != 0) {
        if (subleaf == 0) r.ebx = p.model.xsave.standard_bytes(p.xcr0);
        if (subleaf == 1 && (r.eax & cpuid::leaf13_1_eax::XSAVEC) != 0) r.ebx = p.model.xsave.compacted_bytes(p.xcr0);
    }
}

[[nodiscard]] bool has_xsave(const Processor& p) { return (p.cr4 & cr4::OSXSAVE) != 0; }

} // namespace

Outcome execute_move_control(Processor& p, const Instruction& i) {
    const bool writes = is_class(i, 0, ZYDIS_REGCLASS_CONTROL);
    const unsigned index = number(i, writes ? 0 : 1);
    if (!control_exists(index)) return fault(p, Exception::kInvalidOpcode);
    if (!require_privilege(p)) return Outcome::kFault;
    if (!writes) return done(write_operand(p, i, 0, read_control(p, index)));
    std::uint64_t value = 0;
    if (!read_operand(p, i, 1, value)) return Outcome::kFault;
    return done_anew(p, write_control(p, index, value));
}

Outcome execute_move_debug(Processor& p, const Instruction& i) {
    const bool writes = is_class(i, 0, ZYDIS_REGCLASS_DEBUG);
    unsigned index = number(i, writes ? 0 : 1);
    if (index > 7) return fault(p, Exception::kInvalidOpcode);
    if (index == 4 || index == 5) {
        if ((p.cr4 & cr4::DE) != 0) return fault(p, Exception::kInvalidOpcode);
        index += 2; // DR4 and DR5 are other names of DR6 and DR7
    }
    if (!require_privilege(p)) return Outcome::kFault;
    if ((p.dr[7] & dr7::GD) != 0) {
        p.raise(Exception::kDebug, 0, dr6::BD);
        return Outcome::kFault; // a fault, before the access
    }
    if (!writes) return done(write_operand(p, i, 0, p.dr[index]));
    std::uint64_t value = 0;
    if (!read_operand(p, i, 1, value)) return Outcome::kFault;
    return done_anew(p, write_debug(p, index, value));
}

Outcome execute_clts(Processor& p, const Instruction&) {
    if (!require_privilege(p)) return Outcome::kFault;
    p.cr0 &= ~cr0::TS;
    return Outcome::kNext;
}

Outcome execute_lmsw(Processor& p, const Instruction& i) {
    constexpr std::uint64_t kLoaded = cr0::MP | cr0::EM | cr0::TS;
    std::uint64_t value = 0;
    if (!require_privilege(p) || !read_operand(p, i, 0, value)) return Outcome::kFault;
    // PE can be set, not cleared.
    return done_anew(p, write_cr0(p, (p.cr0 & ~kLoaded) | (value & (kLoaded | cr0::PE))));
}

Outcome execute_smsw(Processor& p, const Instruction& i) {
    if ((p.cr4 & cr4::UMIP) != 0 && !require_privilege(p)) return Outcome::kFault;
    return done(write_operand(p, i, 0, p.cr0));
}

Outcome execute_xgetbv(Processor& p, const Instruction&) {
    if (!has_xsave(p)) return fault(p, Exception::kInvalidOpcode);
    const auto index = static_cast<std::uint32_t>(p.gpr(Gpr::kRcx));
    if (index == 0) {
        set_pair(p, p.xcr0);
        return Outcome::kNext;
    }
    const bool has_in_use = (p.cpuid.lookup(cpuid::kXsave, 1).eax & cpuid::leaf13_1_eax::XGETBV_1) != 0;
    if (index != 1 || !has_in_use) return fault(p, Exception::kGeneralProtection);
    spill_x87(p.regs);
    set_pair(p, components_in_use(p.regs) & p.xcr0);
    return Outcome::kNext;
}

Outcome execute_xsetbv(Processor& p, const Instruction&) {
    if (!has_xsave(p)) return fault(p, Exception::kInvalidOpcode);
    if (!require_privilege(p)) return Outcome::kFault;
    if (static_cast<std::uint32_t>(p.gpr(Gpr::kRcx)) != 0 || !is_valid_xcr0(p, pair(p)))
        return fault(p, Exception::kGeneralProtection);
    p.xcr0 = pair(p);
    return done_anew(p);
}

Outcome execute_rdmsr(Processor& p, const Instruction&) {
    std::uint64_t value = 0;
    if (!require_privilege(p) || !read_msr(p, static_cast<std::uint32_t>(p.gpr(Gpr::kRcx)), value))
        return Outcome::kFault;
    set_pair(p, value);
    return Outcome::kNext;
}

Outcome execute_wrmsr(Processor& p, const Instruction&) {
    if (!require_privilege(p)) return Outcome::kFault;
    return done_anew(p, write_msr(p, static_cast<std::uint32_t>(p.gpr(Gpr::kRcx)), pair(p)));
}

Outcome execute_cpuid(Processor& p, const Instruction&) {
    const auto leaf = static_cast<std::uint32_t>(p.gpr(Gpr::kRax));
    const auto subleaf = static_cast<std::uint32_t>(p.gpr(Gpr::kRcx));
    CpuidRegisters r = p.cpuid.lookup(leaf, subleaf);
    fill_dynamic(p, leaf, subleaf, r);
    p.gpr(Gpr::kRax) = r.eax;
    p.gpr(Gpr::kRbx) = r.ebx;
    p.gpr(Gpr::kRcx) = r.ecx;
    p.gpr(Gpr::kRdx) = r.edx;
    return Outcome::kNext;
}

Outcome execute_rdpid(Processor& p, const Instruction& i) {
    if ((p.cpuid.lookup(cpuid::kExtendedFeatures, 0).ecx & cpuid::leaf7_ecx::RDPID) == 0)
        return fault(p, Exception::kInvalidOpcode);
    return done(write_operand(p, i, 0, p.msr.tsc_aux));
}

} // namespace touka::cpu::interpreter
