// Instructions that compute and move.
#include "cpu/translator/block_emitter.hpp"

#include <utility>

namespace touka::cpu::translator {
namespace {

using Xbyak::Reg64;

constexpr unsigned kGuestRax = 0, kGuestRcx = 1;
constexpr int kWordBits = 64;

bool is_written(const ZydisDecodedOperand& o) { return (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0; }

/// The place of an operand in the encoding. Implicit accumulators get ModRM.rm (see host_bytes).
HostRegister& field_of(const ZydisDecodedOperand& o, HostForm& form, const Instruction& i) {
    switch (o.encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG: return form.reg;
        case ZYDIS_OPERAND_ENCODING_NDSNDD: return form.vvvv;
        case ZYDIS_OPERAND_ENCODING_OPCODE: {
            // XCHG RAX, r has both: the accumulator is ModRM.reg.
            return form.rm;
        }
        case ZYDIS_OPERAND_ENCODING_NONE:
            return i.info.opcode > 0x90 && i.info.opcode < 0x98 && i.info.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT
                       ? form.reg
                       : form.rm;
        default: return form.rm;
    }
}

/// The instruction replaces all 64 bits of the register and does not look at them: 32-bit results clear the upper half.
/// BSF and BSR of nothing change nothing.
bool is_replaced_unread(const GuestInstruction& i, unsigned guest) {
    const ZydisMnemonic mnemonic = i.decoded.info.mnemonic;
    if (mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR) return false;
    for (std::size_t n = 0; n < i.decoded.info.operand_count; ++n) {
        const auto& o = i.operand(n);
        if (general_number(o) == guest && (o.actions != ZYDIS_OPERAND_ACTION_WRITE || o.size < kWordBits / 2))
            return false;
    }
    return true;
}

bool is_bit_test(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_BT || mnemonic == ZYDIS_MNEMONIC_BTS || mnemonic == ZYDIS_MNEMONIC_BTR ||
           mnemonic == ZYDIS_MNEMONIC_BTC;
}

/// A register operand at home may be given as memory where that means the same.
bool may_be_home_operand(const GuestInstruction& i, const ZydisDecodedOperand& o) {
    if (i.has_access || o.encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM || is_high_byte(o.reg.value)) return false;
    const ZydisMnemonic mnemonic = i.decoded.info.mnemonic;
    if (i.uses_avx512) return false; // its forms with memory have other opcodes
    if (is_bit_test(mnemonic) || mnemonic == ZYDIS_MNEMONIC_XCHG || mnemonic == ZYDIS_MNEMONIC_XADD) return false;
    return !is_written(o) || o.size == kWordBits;
}

} // namespace

HostRegister BlockEmitter::in_register(unsigned guest, HostRegister scratch) {
    if (kHostOf[guest] != kAtHome) return kHostOf[guest];
    mov(Reg64(scratch), home(guest));
    return scratch;
}

void BlockEmitter::set_guest(unsigned guest, const Reg64& value) {
    if (kHostOf[guest] == kAtHome)
        mov(home(guest), value);
    else if (kHostOf[guest] != value.getIdx())
        mov(Reg64(kHostOf[guest]), value);
}

void BlockEmitter::copied(const GuestInstruction& i) {
    HostForm form;
    if (i.has_access) {
        Place place = open_for(i);
        if (needs_flags()) place = moved_to_rcx(place);
        form.point_to(place.base, place.displacement);
    }
    if (i.flags.reads_carry_only)
        carry_host();
    else if (i.flags.reads)
        bring_flags();

    struct Borrowed {
        unsigned guest;
        HostRegister host;
        bool written, high_byte;
    };
    std::array<Borrowed, 4> borrowed{};
    std::size_t borrowed_count = 0;
    HostRegister next_scratch = kHostRcx;
    const auto free_pointer = [&] {
        const HostRegister taken = take_pointer();
        forget_pointers();
        const HostRegister other = taken == kHostPointers[0] ? kHostPointers[1] : kHostPointers[0];
        return form.memory && form.base == taken ? other : taken;
    };
    const auto scratch = [&] {
        for (;;) {
            const HostRegister taken = next_scratch;
            next_scratch = taken == kHostRcx ? kHostRax : kHostRsp;
            if (form.memory && form.base == taken) continue;
            return taken == kHostRsp ? free_pointer() : taken;
        }
    };
    for (std::size_t n = 0; n < i.decoded.info.operand_count; ++n) {
        const auto& o = i.operand(n);
        if (general_number(o) == kNoRegister) continue;
        if (o.encoding == ZYDIS_OPERAND_ENCODING_NONE && i.decoded.info.mnemonic == ZYDIS_MNEMONIC_MULX) continue;
        form.has_bytes |= o.size == 8;
        const unsigned guest = general_number(o);
        HostRegister& field = field_of(o, form, i.decoded);
        if (kHostOf[guest] != kAtHome && !is_high_byte(o.reg.value)) {
            field = kHostOf[guest];
            continue;
        }
        if (may_be_home_operand(i, o)) {
            form.point_to(kHostRsp, static_cast<std::int32_t>(o_.gpr + std::size_t{guest} * 8));
            continue;
        }
        bool shared = false;
        for (std::size_t b = 0; b < borrowed_count; ++b) {
            if (borrowed[b].guest != guest || borrowed[b].high_byte != is_high_byte(o.reg.value)) continue;
            borrowed[b].written |= is_written(o);
            field = borrowed[b].host;
            shared = true;
        }
        if (shared) continue;
        const HostRegister host = scratch();
        field = host;
        if (is_high_byte(o.reg.value))
            rorx(Reg64(host), Reg64(kHostOf[guest]), 8);
        else if (!is_replaced_unread(i, guest))
            mov(Reg64(host), home(guest));
        borrowed[borrowed_count++] = {guest, host, is_written(o), is_high_byte(o.reg.value)};
    }
    if (i.has_access && (i.access.writes || i.uses_vectors)) may_fault();
    put(host_bytes(i.decoded, form).span());
    for (std::size_t b = 0; b < borrowed_count; ++b) {
        if (!borrowed[b].written) continue;
        if (borrowed[b].high_byte) {
            const Reg64 whole(kHostOf[borrowed[b].guest]);
            rorx(whole, whole, 8);
            mov(whole.cvt8(), Reg64(borrowed[b].host).cvt8());
            rorx(whole, whole, kWordBits - 8);
        } else {
            mov(home(borrowed[b].guest), Reg64(borrowed[b].host));
        }
    }
    if (i.flags.writes) flags_ = Flags::kHost;
}

void BlockEmitter::expect_x87(const GuestInstruction& i) {
    if (std::exchange(has_x87_, true)) return;
    flags_home();
    cmp(byte[rsp + o_.x87_place], static_cast<std::uint32_t>(interpreter::X87Place::kHost));
    x87_stubs_.push_back({forward_jump(0x0F85), i.offset}); // JNE
}

void BlockEmitter::lea(const GuestInstruction& i) {
    const unsigned guest = general_number(i.operand(0));
    const bool at_home = kHostOf[guest] == kAtHome;
    const bool is_base = i.access.base == guest || i.access.index == guest;
    // The destination may be a part of the address; RAX then takes the sum.
    const Reg64 to(at_home || is_base ? kHostRax : kHostOf[guest]);
    emit_address(i.access, 0, to);
    if (i.decoded.info.operand_width == 32) mov(to.cvt32(), to.cvt32());
    set_guest(guest, to);
}

void BlockEmitter::multiply_divide(const GuestInstruction& i) {
    HostForm form;
    const auto& o = i.operand(0);
    form.has_bytes = o.size == 8;
    if (i.has_access) {
        const Place place = moved_to_rcx(open(i.access));
        form.point_to(place.base, place.displacement);
    } else if (const unsigned guest = general_number(o); kHostOf[guest] == kAtHome) {
        form.point_to(kHostRsp, static_cast<std::int32_t>(o_.gpr + std::size_t{guest} * 8));
    } else {
        form.rm = kHostOf[guest];
    }
    bring_flags();
    mov(rax, Reg64(kHostOf[kGuestRax]));
    may_fault();
    put(host_bytes(i.decoded, form).span());
    mov(Reg64(kHostOf[kGuestRax]), rax);
}

void BlockEmitter::shift_by_cl(const GuestInstruction& i) {
    bring_flags();
    HostForm form;
    const std::size_t count = i.decoded.info.operand_count_visible - 1u;
    HostRegister scratch = kHostRax;
    unsigned written = 0;
    bool store = false;
    for (std::size_t n = 0; n < count; ++n) {
        const auto& o = i.operand(n);
        form.has_bytes |= o.size == 8;
        const unsigned guest = general_number(o);
        const HostRegister host = in_register(guest, scratch);
        if (host == scratch) {
            if (n == 0) {
                written = guest;
                store = true;
            }
            scratch = kHostPointers[0];
        }
        field_of(o, form, i.decoded) = host;
    }
    if (scratch != kHostRax) forget_pointers();
    mov(ecx, Reg64(kHostOf[kGuestRcx]).cvt32());
    put(host_bytes(i.decoded, form).span());
    if (store) mov(home(written), rax);
    flags_ = Flags::kHost;
}

void BlockEmitter::compare_exchange(const GuestInstruction& i) {
    Place place = open(i.access);
    if (i.decoded.info.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B) return compare_exchange_16(i, place);
    // RAX is the comparand, and a pointer register may have to hold the source.
    if (place.base != kHostRax)
        Xbyak::CodeGenerator::lea(rcx, ptr[at(place)]);
    else
        mov(rcx, rax);
    HostForm form;
    form.point_to(kHostRcx, 0);
    const auto& source = i.operand(1);
    form.has_bytes = source.size == 8;
    const unsigned guest = general_number(source);
    form.reg = kHostOf[guest] == kAtHome ? in_register(guest, take_pointer()) : kHostOf[guest];
    mov(rax, Reg64(kHostOf[kGuestRax]));
    may_fault();
    put(host_bytes(i.decoded, form).span());
    mov(Reg64(kHostOf[kGuestRax]), rax);
    flags_ = Flags::kHost;
}

/// RDX and RBX are the guest's; RAX and RCX are lent.
void BlockEmitter::compare_exchange_16(const GuestInstruction& i, Place place) {
    if (place.base == kHostRax) {
        place = {take_pointer(), 0};
        mov(Reg64(place.base), rax);
    }
    flags_host();
    mov(rax, Reg64(kHostOf[kGuestRax]));
    mov(rcx, Reg64(kHostOf[kGuestRcx]));
    HostForm form;
    form.point_to(place.base, place.displacement);
    may_fault();
    put(host_bytes(i.decoded, form).span());
    mov(Reg64(kHostOf[kGuestRax]), rax);
}

/// The element that the bit lies in is opened, and what is left of the bit's number never leads out of it.
void BlockEmitter::bit_string(const GuestInstruction& i) {
    const Place place = open(i.access, Pointer::kOwn);
    const Reg64 bit(in_register(i.access.bit, kHostRcx));
    if (bit.getIdx() != kHostRcx) mov(rcx, bit);
    and_(ecx, i.access.element_bytes * 8u - 1);
    bring_flags();
    HostForm form;
    form.point_to(place.base, place.displacement);
    form.reg = kHostRcx;
    if (i.access.writes) may_fault();
    put(host_bytes(i.decoded, form).span());
    flags_ = Flags::kHost;
}

/// Lengths come in RAX and RDX, where they are explicit; an index goes to RCX, a mask to XMM0.
void BlockEmitter::compare_strings(const GuestInstruction& i) {
    HostForm form;
    if (i.has_access) {
        const Place place = moved_to_rcx(open(i.access));
        form.point_to(place.base, place.displacement);
    }
    mov(rax, Reg64(kHostOf[kGuestRax]));
    may_fault();
    put(host_bytes(i.decoded, form).span());
    if (writes_either(i, kGuestRcx, kNoRegister)) mov(Reg64(kHostOf[kGuestRcx]), rcx);
    flags_ = Flags::kHost;
}

void BlockEmitter::sign_extend(const GuestInstruction& i) {
    const Reg64 a(kHostOf[kGuestRax]);
    switch (i.decoded.info.mnemonic) {
        case ZYDIS_MNEMONIC_CBW: movsx(a.cvt16(), a.cvt8()); return;
        case ZYDIS_MNEMONIC_CWDE: movsx(a.cvt32(), a.cvt16()); return;
        case ZYDIS_MNEMONIC_CDQE: movsxd(a, a.cvt32()); return;
        default: break;
    }
    mov(rax, a);
    put(host_bytes(i.decoded, {}).span()); // into RDX, which is the guest's
}

} // namespace touka::cpu::translator
