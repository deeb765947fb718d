// AAA, AAS, AAM, AAD, DAA, DAS, SALC and BOUND: not in 64-bit code, so that no host instruction can help.
// (AMD64 APM vol. 3 rev. 3.36). Flags that the manual leaves undefined follow the result in AL, as SF, ZF and PF of the
// defined instructions do.

#include <bit>
#include <type_traits>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint8_t kAl = gpr_offset(Gpr::kRax), kAx = kAl;

void set_flags(Processor& p, std::uint8_t al, bool carry, bool adjust) {
    std::uint64_t flags = 0;
    if (carry) flags |= rflags::CF;
    if (adjust) flags |= rflags::AF;
    if (al == 0) flags |= rflags::ZF;
    if ((al & 0x80) != 0) flags |= rflags::SF;
    if (std::popcount(al) % 2 == 0) flags |= rflags::PF;
    p.regs.status = StatusFlags::from_rflags(flags);
}

[[nodiscard]] bool has(const Processor& p, std::uint16_t flag) { return (p.regs.status.packed & flag) != 0; }

/// AAA and AAS.
template <bool Add>
Link* ascii_adjust(Processor& p, const Op* op) {
    auto ax = get<std::uint16_t>(p, kAx);
    const bool adjust = (ax & 0xF) > 9 || has(p, StatusFlags::kAF);
    if (adjust) ax = static_cast<std::uint16_t>(Add ? ax + 0x106 : ax - 0x106);
    ax &= 0xFF0F;
    set(p, kAx, ax);
    set_flags(p, static_cast<std::uint8_t>(ax), adjust, adjust);
    return next(p, op);
}

/// DAA and DAS.
template <bool Add>
Link* decimal_adjust(Processor& p, const Op* op) {
    const auto old = get<std::uint8_t>(p, kAl);
    const bool old_carry = has(p, StatusFlags::kCF);
    const bool adjust = (old & 0xF) > 9 || has(p, StatusFlags::kAF);
    bool carry = false;
    unsigned al = old;
    if (adjust) {
        carry = old_carry || (Add ? old > 0xFF - 6 : old < 6);
        al = Add ? al + 6 : al - 6;
    }
    if (old > 0x99 || old_carry) {
        al = Add ? al + 0x60 : al - 0x60;
        carry = true;
    }
    set(p, kAl, static_cast<std::uint8_t>(al));
    set_flags(p, static_cast<std::uint8_t>(al), carry, adjust);
    return next(p, op);
}

Link* aam(Processor& p, const Op* op) {
    const auto base = static_cast<std::uint8_t>(op->immediate);
    if (base == 0) {
        p.raise(Exception::kDivideError);
        return stop(p, op);
    }
    const auto al = get<std::uint8_t>(p, kAl);
    set(p, kAx, static_cast<std::uint16_t>((al / base) << 8 | (al % base)));
    set_flags(p, al % base, false, false);
    return next(p, op);
}

Link* aad(Processor& p, const Op* op) {
    const auto ax = get<std::uint16_t>(p, kAx);
    const auto al = static_cast<std::uint8_t>(ax + (ax >> 8) * op->immediate);
    set(p, kAx, std::uint16_t{al});
    set_flags(p, al, false, false);
    return next(p, op);
}

template <Handler handler>
bool build_with_base(Draft& draft) {
    draft.op.immediate = static_cast<std::int32_t>(draft.operand(0).imm.value.u & 0xFF);
    draft.op.handler = handler;
    return true;
}

Link* salc(Processor& p, const Op* op) {
    set<std::uint8_t>(p, kAl, has(p, StatusFlags::kCF) ? 0xFF : 0);
    return next(p, op);
}

template <class T>
Link* bound(Processor& p, const Op* op) {
    using Signed = std::make_signed_t<T>;
    const std::uint64_t linear = linear_address(p, op, 2 * sizeof(T), false);
    const auto lower = load<T>(p, linear, op->access);
    if (!lower.ok) return stop(p, op);
    const auto upper = load<T>(p, linear + sizeof(T), op->access);
    if (!upper.ok) return stop(p, op);
    const auto index = static_cast<Signed>(get<T>(p, op->reg));
    if (index >= static_cast<Signed>(lower.value) && index <= static_cast<Signed>(upper.value)) return next(p, op);
    p.raise(Exception::kBoundRange);
    return stop(p, op);
}

bool build_bound(Draft& draft) {
    draft.op.reg = register_offset(draft.operand(0).reg.value);
    set_memory(draft, 1);
    draft.op.handler = draft.width_bits() == 16 ? &bound<std::uint16_t> : &bound<std::uint32_t>;
    return true;
}

} // namespace

void add_decimal(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_AAA] = &build_plain<&ascii_adjust<true>>;
    table[ZYDIS_MNEMONIC_AAS] = &build_plain<&ascii_adjust<false>>;
    table[ZYDIS_MNEMONIC_DAA] = &build_plain<&decimal_adjust<true>>;
    table[ZYDIS_MNEMONIC_DAS] = &build_plain<&decimal_adjust<false>>;
    table[ZYDIS_MNEMONIC_AAM] = &build_with_base<&aam>;
    table[ZYDIS_MNEMONIC_AAD] = &build_with_base<&aad>;
    table[ZYDIS_MNEMONIC_SALC] = &build_plain<&salc>;
    table[ZYDIS_MNEMONIC_BOUND] = &build_bound;
}

} // namespace touka::cpu::interpreter
