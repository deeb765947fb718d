// PUSH, POP and LEAVE.
#include "cpu/translator/block_emitter.hpp"

namespace touka::cpu::translator {
namespace {

using Xbyak::Reg64;

constexpr unsigned kGuestRsp = 4, kGuestRbp = 5;

} // namespace

void BlockEmitter::move_stack_pointer(std::int32_t amount) {
    const Reg64 stack(kHostOf[kGuestRsp]);
    Xbyak::CodeGenerator::lea(stack, ptr[displaced(stack, amount)]); // no flags
}

void BlockEmitter::push_value(const GuestInstruction& i) {
    const auto& o = i.operand(0);
    Place place{};
    if (i.has_access) {
        place = open(i.second_access, Pointer::kOwn);
        const Place from = open(i.access, Pointer::kScratch);
        mov(rax, ptr[at(from)]);
        may_fault();
        mov(ptr[at(place)], rax);
    } else {
        place = open(i.second_access);
        const auto to = qword[at(place)];
        if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) {
            const HostRegister value = in_register(general_number(o), kHostRcx);
            may_fault();
            mov(to, Reg64(value));
        } else {
            may_fault();
            mov(to, static_cast<std::uint64_t>(o.imm.value.s));
        }
    }
    move_stack_pointer(-8);
}

void BlockEmitter::pop_value(const GuestInstruction& i) {
    const unsigned guest = general_number(i.operand(0));
    const Place place = open(i.access);
    const Reg64 to(kHostOf[guest] == kAtHome ? kHostRcx : kHostOf[guest]);
    mov(to, ptr[at(place)]);
    set_guest(guest, to);
    if (guest != kGuestRsp) move_stack_pointer(8);
}

void BlockEmitter::leave_frame(const GuestInstruction& i) {
    const Place place = open(i.access);
    const Reg64 frame(kHostOf[kGuestRbp]), stack(kHostOf[kGuestRsp]);
    mov(rcx, ptr[at(place)]);
    Xbyak::CodeGenerator::lea(stack, ptr[frame + 8]);
    mov(frame, rcx);
}

} // namespace touka::cpu::translator
