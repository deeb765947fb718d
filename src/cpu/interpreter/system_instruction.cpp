#include "cpu/interpreter/system_instruction.hpp"

#include "cpu/interpreter/delivery.hpp"
#include "cpu/interpreter/far_transfer.hpp"
#include "cpu/interpreter/fast_system_call.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/outcome.hpp"
#include "cpu/interpreter/segment_instructions.hpp"
#include "cpu/interpreter/system_registers.hpp"
#include "spec/x86/cpuid.hpp"
#include "spec/x86/page_table.hpp"

namespace touka::cpu::interpreter {

using namespace spec::x86;

namespace {

[[nodiscard]] Outcome absent(Processor& p, const Instruction&) { return fault(p, Exception::kInvalidOpcode); }

/// MOV with a segment, control or debug register on either side.
[[nodiscard]] Outcome move_system(Processor& p, const Instruction& i) {
    for (std::size_t n = 0; n < 2; ++n) {
        if (i.operands[n].type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        switch (ZydisRegisterGetClass(i.operands[n].reg.value)) {
            case ZYDIS_REGCLASS_SEGMENT: return execute_move_segment(p, i);
            case ZYDIS_REGCLASS_CONTROL: return execute_move_control(p, i);
            case ZYDIS_REGCLASS_DEBUG: return execute_move_debug(p, i);
            default: break;
        }
    }
    return fault(p, Exception::kInvalidOpcode);
}

[[nodiscard]] Outcome hlt(Processor& p, const Instruction&) {
    if (!require_privilege(p)) return Outcome::kFault;
    p.rip = p.next_rip;
    p.run_state = RunState::kHalted;
    p.attention = true;
    return Outcome::kHalt;
}

/// Caches are coherent here: WBINVD and INVD have nothing to do but to be privileged.
[[nodiscard]] Outcome write_back_caches(Processor& p, const Instruction&) { return done(require_privilege(p)); }

[[nodiscard]] Outcome set_access_check(Processor& p, const Instruction& i) {
    const bool has_smap = (p.cpuid.lookup(cpuid::kExtendedFeatures, 0).ebx & cpuid::leaf7_ebx::SMAP) != 0;
    if (p.cpl != 0 || !has_smap) return fault(p, Exception::kInvalidOpcode);
    if (i.info.mnemonic == ZYDIS_MNEMONIC_STAC)
        p.system_flags |= rflags::AC;
    else
        p.system_flags &= ~rflags::AC;
    return Outcome::kNext;
}

[[nodiscard]] Outcome invlpg(Processor& p, const Instruction& i) {
    if (!require_privilege(p)) return Outcome::kFault;
    std::uint64_t linear = 0;
    if (!operand_address(p, i, 0, 1, false, linear)) {
        // A non-canonical address invalidates nothing, and is no fault. (SDM vol. 2, INVLPG)
        p.fault.reset();
        return Outcome::kNext;
    }
    flush_tlb_page(p, linear);
    return done_anew(p);
}

/// INVPCID descriptor: PCID in bits 11:0 of the first word, the linear address in the second. (SDM vol. 2, INVPCID)
[[nodiscard]] Outcome invpcid(Processor& p, const Instruction& i) {
    enum Type : std::uint64_t { kAddress, kContext, kAll, kAllButGlobal };
    const bool has_invpcid = (p.cpuid.lookup(cpuid::kExtendedFeatures, 0).ebx & cpuid::leaf7_ebx::INVPCID) != 0;
    if (!has_invpcid) return fault(p, Exception::kInvalidOpcode);
    std::uint64_t type = 0, linear = 0, pcid = 0, address = 0;
    if (!require_privilege(p) || !read_operand(p, i, 0, type) || !operand_address(p, i, 1, 16, false, linear) ||
        !read_linear(p, linear, pcid) || !read_linear(p, linear + 8, address))
        return Outcome::kFault;
    const bool bad_pcid = (pcid & ~cr3::PCID) != 0 || (type <= kContext && (p.cr4 & cr4::PCIDE) == 0 && pcid != 0);
    if (type > kAllButGlobal || bad_pcid || (type == kAddress && !is_canonical(address)))
        return fault(p, Exception::kGeneralProtection);
    // The TLB holds the running context alone, since every CR3 write flushes it.
    const bool running = (p.cr4 & cr4::PCIDE) == 0 || pcid == (p.cr3 & cr3::PCID);
    if (type == kAddress && running) flush_tlb_page(p, address);
    if (type >= kAll || (type == kContext && running)) flush_tlb(p);
    return done_anew(p);
}

/// No counters: whoever may not read them and whoever may gets #GP alike.
[[nodiscard]] Outcome rdpmc(Processor& p, const Instruction&) { return fault(p, Exception::kGeneralProtection); }

[[nodiscard]] Outcome software_interrupt(Processor& p, const Instruction& i) {
    switch (i.info.mnemonic) {
        case ZYDIS_MNEMONIC_INT3: return deliver_software_interrupt(p, 3, InterruptKind::kSoftware);
        case ZYDIS_MNEMONIC_INT1: return deliver_software_interrupt(p, 1, InterruptKind::kPrivilegedSoftware);
        case ZYDIS_MNEMONIC_INTO:
            if ((p.regs.status.packed & StatusFlags::kOF) == 0) return Outcome::kNext;
            return deliver_software_interrupt(p, 4, InterruptKind::kSoftware);
        default:
            return deliver_software_interrupt(p, static_cast<std::uint8_t>(i.operands[0].imm.value.u),
                                              InterruptKind::kSoftware);
    }
}

[[nodiscard]] ExecuteFunction find_segment_instruction(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_MOV: return move_system;
        case ZYDIS_MNEMONIC_PUSH: return execute_push_segment;
        case ZYDIS_MNEMONIC_POP: return execute_pop_segment;
        case ZYDIS_MNEMONIC_LDS:
        case ZYDIS_MNEMONIC_LES:
        case ZYDIS_MNEMONIC_LSS:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS: return execute_load_far_pointer;
        case ZYDIS_MNEMONIC_SWAPGS: return execute_swapgs;
        case ZYDIS_MNEMONIC_RDFSBASE:
        case ZYDIS_MNEMONIC_RDGSBASE:
        case ZYDIS_MNEMONIC_WRFSBASE:
        case ZYDIS_MNEMONIC_WRGSBASE: return execute_segment_base;
        case ZYDIS_MNEMONIC_LGDT:
        case ZYDIS_MNEMONIC_LIDT: return execute_load_table;
        case ZYDIS_MNEMONIC_SGDT:
        case ZYDIS_MNEMONIC_SIDT: return execute_store_table;
        case ZYDIS_MNEMONIC_LLDT: return execute_lldt;
        case ZYDIS_MNEMONIC_LTR: return execute_ltr;
        case ZYDIS_MNEMONIC_SLDT:
        case ZYDIS_MNEMONIC_STR: return execute_store_selector;
        case ZYDIS_MNEMONIC_LAR:
        case ZYDIS_MNEMONIC_LSL: return execute_load_rights;
        case ZYDIS_MNEMONIC_VERR:
        case ZYDIS_MNEMONIC_VERW: return execute_verify;
        case ZYDIS_MNEMONIC_ARPL: return execute_arpl;
        default: return nullptr;
    }
}

[[nodiscard]] ExecuteFunction find_transfer_instruction(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_JMP: return execute_far_jump;
        case ZYDIS_MNEMONIC_CALL: return execute_far_call;
        case ZYDIS_MNEMONIC_RET: return execute_far_return;
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ: return execute_iret;
        case ZYDIS_MNEMONIC_INT:
        case ZYDIS_MNEMONIC_INT1:
        case ZYDIS_MNEMONIC_INT3:
        case ZYDIS_MNEMONIC_INTO: return software_interrupt;
        case ZYDIS_MNEMONIC_SYSCALL: return execute_syscall;
        case ZYDIS_MNEMONIC_SYSRET: return execute_sysret;
        case ZYDIS_MNEMONIC_SYSENTER: return execute_sysenter;
        case ZYDIS_MNEMONIC_SYSEXIT: return execute_sysexit;
        case ZYDIS_MNEMONIC_HLT: return hlt;
        default: return nullptr;
    }
}

[[nodiscard]] ExecuteFunction find_register_instruction(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_CLTS: return execute_clts;
        case ZYDIS_MNEMONIC_LMSW: return execute_lmsw;
        case ZYDIS_MNEMONIC_SMSW: return execute_smsw;
        case ZYDIS_MNEMONIC_XGETBV: return execute_xgetbv;
        case ZYDIS_MNEMONIC_XSETBV: return execute_xsetbv;
        case ZYDIS_MNEMONIC_RDMSR: return execute_rdmsr;
        case ZYDIS_MNEMONIC_WRMSR: return execute_wrmsr;
        case ZYDIS_MNEMONIC_CPUID: return execute_cpuid;
        case ZYDIS_MNEMONIC_RDPID: return execute_rdpid;
        case ZYDIS_MNEMONIC_RDPMC: return rdpmc;
        case ZYDIS_MNEMONIC_INVLPG: return invlpg;
        case ZYDIS_MNEMONIC_INVPCID: return invpcid;
        case ZYDIS_MNEMONIC_WBINVD:
        case ZYDIS_MNEMONIC_INVD: return write_back_caches;
        case ZYDIS_MNEMONIC_STAC:
        case ZYDIS_MNEMONIC_CLAC: return set_access_check;
        default: return nullptr;
    }
}

/// What CPUID says is not there.
[[nodiscard]] bool is_absent(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_CLGI:
        case ZYDIS_MNEMONIC_STGI:
        case ZYDIS_MNEMONIC_SKINIT:
        case ZYDIS_MNEMONIC_INVLPGA:
        case ZYDIS_MNEMONIC_INVLPGB:
        case ZYDIS_MNEMONIC_GETSEC:
        case ZYDIS_MNEMONIC_MCOMMIT:
        case ZYDIS_MNEMONIC_MONITOR:
        case ZYDIS_MNEMONIC_MONITORX:
        case ZYDIS_MNEMONIC_MWAIT:
        case ZYDIS_MNEMONIC_MWAITX:
        case ZYDIS_MNEMONIC_PCONFIG:
        case ZYDIS_MNEMONIC_PTWRITE:
        case ZYDIS_MNEMONIC_RDPRU:
        case ZYDIS_MNEMONIC_RSM:
        case ZYDIS_MNEMONIC_SERIALIZE:
        case ZYDIS_MNEMONIC_TPAUSE:
        case ZYDIS_MNEMONIC_UMONITOR:
        case ZYDIS_MNEMONIC_UMWAIT:
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2:
        case ZYDIS_MNEMONIC_VMCALL:
        case ZYDIS_MNEMONIC_VMMCALL:
        case ZYDIS_MNEMONIC_VMRUN:
        case ZYDIS_MNEMONIC_VMLOAD:
        case ZYDIS_MNEMONIC_VMSAVE:
        case ZYDIS_MNEMONIC_VMXON:
        case ZYDIS_MNEMONIC_XSAVES:
        case ZYDIS_MNEMONIC_XSAVES64: return true;
        default: return false;
    }
}

} // namespace

ExecuteFunction find_system_instruction(ZydisMnemonic mnemonic) {
    if (const ExecuteFunction found = find_segment_instruction(mnemonic)) return found;
    if (const ExecuteFunction found = find_transfer_instruction(mnemonic)) return found;
    if (const ExecuteFunction found = find_register_instruction(mnemonic)) return found;
    return is_absent(mnemonic) ? absent : nullptr;
}

} // namespace touka::cpu::interpreter
