// Shifts and rotates by the host's own instructions. (AMD64 APM vol. 3 rev. 3.36)
// The guest's flags are loaded into the host first, because some stay and the undefined ones may depend on them:
// with StatusFlags::packed in AX, "add $0x7f, %al" sets OF from AL (0 or 1) and SAHF the others from AH.

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {
namespace {

struct Rol {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\trol %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Ror {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tror %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Rcl {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\trcl %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Rcr {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\trcr %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Shl {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tshl %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Shr {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tshr %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

struct Sar {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tsar %%cl, %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : "c"(count)
            : "cc");
        return a;
    }
};

/// SHLD and SHRD: a is the destination, b gives the bits that come in.
struct Shld {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tshld %%cl, %[b], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [b] "r"(b), "c"(count)
            : "cc");
        return a;
    }
};

struct Shrd {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, std::uint8_t count, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tshrd %%cl, %[b], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [b] "r"(b), "c"(count)
            : "cc");
        return a;
    }
};

constexpr std::uint8_t kCl = gpr_offset(Gpr::kRcx);

template <bool ByCl>
[[nodiscard]] inline std::uint8_t count_of(const Processor& p, const Op* op) {
    return ByCl ? get<std::uint8_t>(p, kCl) : immediate<std::uint8_t>(op);
}

template <class O, class T, bool ByCl>
Link* shift_register(Processor& p, const Op* op) {
    set<T>(p, op->reg, O::apply(get<T>(p, op->reg), count_of<ByCl>(p, op), p.regs.status));
    return next(p, op);
}

template <class O, class T, bool ByCl>
Link* shift_memory(Processor& p, const Op* op) {
    std::byte* host = open_operand(p, linear_address(p, op, sizeof(T), true), sizeof(T), op->access);
    if (host == nullptr) return stop(p, op);
    host::store<T>(host, O::apply(host::load<T>(host), count_of<ByCl>(p, op), p.regs.status));
    close_operand(p, host);
    return next(p, op);
}

template <class O, class T, bool ByCl>
Link* double_shift_register(Processor& p, const Op* op) {
    set<T>(p, op->reg, O::apply(get<T>(p, op->reg), get<T>(p, op->reg2), count_of<ByCl>(p, op), p.regs.status));
    return next(p, op);
}

template <class O, class T, bool ByCl>
Link* double_shift_memory(Processor& p, const Op* op) {
    std::byte* host = open_operand(p, linear_address(p, op, sizeof(T), true), sizeof(T), op->access);
    if (host == nullptr) return stop(p, op);
    host::store<T>(host, O::apply(host::load<T>(host), get<T>(p, op->reg), count_of<ByCl>(p, op), p.regs.status));
    close_operand(p, host);
    return next(p, op);
}

template <class O>
bool build_shift(Draft& draft) {
    const bool by_cl = draft.is_register(1);
    (void)set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if (draft.is_register(0)) return by_cl ? &shift_register<O, T, true> : &shift_register<O, T, false>;
        return by_cl ? &shift_memory<O, T, true> : &shift_memory<O, T, false>;
    });
    return true;
}

template <class O>
bool build_double_shift(Draft& draft) {
    (void)set_operands(draft);
    const bool by_cl = draft.is_register(2);
    if (!by_cl) draft.op.immediate = static_cast<std::int32_t>(draft.operand(2).imm.value.u);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) {
            return nullptr;
        } else if (draft.is_register(0)) {
            return by_cl ? &double_shift_register<O, T, true> : &double_shift_register<O, T, false>;
        } else {
            return by_cl ? &double_shift_memory<O, T, true> : &double_shift_memory<O, T, false>;
        }
    });
    return draft.op.handler != nullptr;
}

} // namespace

void add_shift_rotate(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_ROL] = &build_shift<Rol>;
    table[ZYDIS_MNEMONIC_ROR] = &build_shift<Ror>;
    table[ZYDIS_MNEMONIC_RCL] = &build_shift<Rcl>;
    table[ZYDIS_MNEMONIC_RCR] = &build_shift<Rcr>;
    table[ZYDIS_MNEMONIC_SHL] = &build_shift<Shl>;
    table[ZYDIS_MNEMONIC_SHR] = &build_shift<Shr>;
    table[ZYDIS_MNEMONIC_SAR] = &build_shift<Sar>;
    table[ZYDIS_MNEMONIC_SHLD] = &build_double_shift<Shld>;
    table[ZYDIS_MNEMONIC_SHRD] = &build_double_shift<Shrd>;
}

} // namespace touka::cpu::interpreter
