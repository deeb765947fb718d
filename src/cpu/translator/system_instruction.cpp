// What kernels run all the time, and the way to everything that is not translated.
#include "cpu/translator/block_emitter.hpp"
#include "spec/x86/control_registers.hpp"

namespace touka::cpu::translator {
namespace {

using Xbyak::Reg16, Xbyak::Reg64;
using namespace spec::x86;

constexpr unsigned kGuestRax = 0, kGuestRcx = 1, kGuestRdx = 2;

} // namespace

void BlockEmitter::user_access(const GuestInstruction& i) {
    flags_home();
    forget_pointers();
    const bool opens = i.decoded.info.mnemonic == ZYDIS_MNEMONIC_STAC;
    constexpr auto kAc = static_cast<std::uint32_t>(rflags::AC);
    if (opens)
        or_(dword[rsp + o_.system_flags], kAc);
    else
        and_(dword[rsp + o_.system_flags], ~kAc);
    mov(Reg64(kHostTable), ptr[rsp + (opens ? o_.open_table : o_.closed_table)]);
    mov(ptr[rsp + o_.table], Reg64(kHostTable));
}

/// At CPL 0.
void BlockEmitter::interrupt_flag(const GuestInstruction& i) {
    flags_home();
    constexpr auto kIf = static_cast<std::uint32_t>(rflags::IF);
    if (i.decoded.info.mnemonic == ZYDIS_MNEMONIC_CLI) {
        and_(dword[rsp + o_.system_flags], ~kIf);
        return;
    }
    // The block ends behind the next instruction, and there requests are looked at.
    or_(dword[rsp + o_.system_flags], kIf);
    Xbyak::Label none;
    cmp(dword[rsp + o_.interrupt_waiting], 0);
    je(none);
    lock();
    or_(dword[rsp + o_.requests], interpreter::request::kInterrupt);
    L(none);
}

void BlockEmitter::direction_flag(const GuestInstruction& i) {
    flags_home();
    constexpr auto kDf = static_cast<std::uint32_t>(rflags::DF);
    if (i.decoded.info.mnemonic == ZYDIS_MNEMONIC_STD)
        or_(dword[rsp + o_.system_flags], kDf);
    else
        and_(dword[rsp + o_.system_flags], ~kDf);
}

void BlockEmitter::swap_gs() {
    mov(rax, ptr[rsp + o_.gs_base]);
    mov(rcx, ptr[rsp + o_.kernel_gs_base]);
    mov(ptr[rsp + o_.gs_base], rcx);
    mov(ptr[rsp + o_.kernel_gs_base], rax);
}

void BlockEmitter::expect_control(const GuestInstruction& i, std::uint64_t bit, bool is_set) {
    test(dword[rsp + o_.cr4], static_cast<std::uint32_t>(bit));
    refusal_stubs_.push_back({forward_jump(is_set ? 0x0F84 : 0x0F85), &i}); // JE, JNE
}

void BlockEmitter::read_time_stamp(const GuestInstruction& i) {
    flags_home();
    const Reg64 a(kHostOf[kGuestRax]), d(kHostOf[kGuestRdx]);
    if (translation_->mode == BlockMode::kUser) expect_control(i, cr4::TSD, false);
    // RDX is the guest's anyway.
    if (i.decoded.info.mnemonic == ZYDIS_MNEMONIC_RDTSCP) {
        rdtscp();
        mov(ecx, dword[rsp + o_.tsc_aux]);
        set_guest(kGuestRcx, rcx);
    } else {
        rdtsc();
    }
    shl(rdx, 32);
    or_(rax, rdx);
    add(rax, ptr[rsp + o_.tsc_offset]);
    mov(d, rax);
    shr(d, 32);
    mov(a.cvt32(), eax);
}

void BlockEmitter::push_flags(const GuestInstruction& i) {
    flags_home();
    const Place place = open(i.second_access, Pointer::kOwn);
    constexpr std::uint32_t kPackedMask = 0xD5;
    constexpr auto kCleared = static_cast<std::uint32_t>(rflags::RF | rflags::VM);
    movzx(eax, byte[rsp + o_.status + 1]);
    and_(eax, kPackedMask);
    movzx(ecx, byte[rsp + o_.status]);
    shl(ecx, 11); // OF
    or_(eax, ecx);
    or_(rax, ptr[rsp + o_.system_flags]);
    and_(eax, ~kCleared);
    may_fault();
    mov(ptr[at(place)], rax);
    move_stack_pointer(-8);
}

void BlockEmitter::read_selector(const GuestInstruction& i) {
    const auto segment = static_cast<std::uint8_t>(ZydisRegisterGetId(i.operand(1).reg.value));
    const std::size_t selector = o_.selectors + std::size_t{segment} * sizeof(SegmentState);
    if (i.has_access) {
        const Place place = open(i.access);
        movzx(ecx, word[rsp + selector]);
        may_fault();
        mov(word[at(place)], cx);
        return;
    }
    const unsigned guest = general_number(i.operand(0));
    movzx(eax, word[rsp + selector]);
    if (i.decoded.info.operand_width != 16)
        set_guest(guest, rax);
    else if (kHostOf[guest] == kAtHome)
        mov(word[rsp + o_.gpr + guest * 8], ax);
    else
        mov(Reg16(kHostOf[guest]), ax);
}

void BlockEmitter::segment_base(const GuestInstruction& i) {
    const ZydisMnemonic mnemonic = i.decoded.info.mnemonic;
    const bool is_fs = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_WRFSBASE;
    const bool reads = mnemonic == ZYDIS_MNEMONIC_RDFSBASE || mnemonic == ZYDIS_MNEMONIC_RDGSBASE;
    const bool is_wide = i.operand(0).size == 64;
    const unsigned guest = general_number(i.operand(0));
    const auto base = ptr[rsp + (is_fs ? o_.fs_base : o_.gs_base)];
    flags_home();
    expect_control(i, cr4::FSGSBASE, true);
    if (reads) {
        mov(rax, base);
        if (!is_wide) mov(eax, eax);
        return set_guest(guest, rax);
    }
    const Reg64 from(in_register(guest, kHostRax));
    if (is_wide) { // the base must be canonical
        constexpr int kUnusedBits = 16;
        mov(rcx, from);
        shl(rcx, kUnusedBits);
        sar(rcx, kUnusedBits);
        cmp(rcx, from);
        refusal_stubs_.push_back({forward_jump(0x0F85), &i}); // JNE
        mov(base, from);
    } else {
        mov(ecx, from.cvt32());
        mov(base, rcx);
    }
}

void BlockEmitter::called(const GuestInstruction& i) {
    flags_home();
    forget_pointers();
    has_x87_ = false;
    call_interpreter(i);
}

void BlockEmitter::transferred(const GuestInstruction& i) {
    flags_home();
    mov(dword[rsp + o_.exit_data], static_cast<std::uint32_t>(i.decoded.info.mnemonic));
    leave_by(thunks_.transfer, i.offset);
}

void BlockEmitter::call_interpreter(const GuestInstruction& i) {
    mov(dword[rsp + o_.exit_data], static_cast<std::uint32_t>(i.decoded.info.mnemonic));
    mov(ecx, i.offset);
    mov(eax, i.next_offset());
    call_thunk(thunks_.interpret);
}

} // namespace touka::cpu::translator
