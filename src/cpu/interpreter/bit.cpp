// BT, BTS, BTR, BTC, BSF, BSR and BSWAP by the host's own instructions. (AMD64 APM vol. 3 rev. 3.36)
// The guest's flags are loaded into the host first, because some stay and the undefined ones may depend on them:
// with StatusFlags::packed in AX, "add $0x7f, %al" sets OF from AL (0 or 1) and SAHF the others from AH.

#include <bit>
#include <type_traits>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {
namespace {

struct Bt {
    static constexpr bool kWrites = false;
    template <class T>
    static T apply(T a, T bit, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tbt %[bit], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [bit] "r"(bit)
            : "cc");
        return a;
    }
};

struct Bts {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T bit, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tbts %[bit], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [bit] "r"(bit)
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T bit, StatusFlags& status) {
        asm volatile("add $0x7f, %%al\n\tsahf\n\tlock bts %[bit], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "+a"(status.packed)
                     : [bit] "r"(bit)
                     : "cc", "memory");
    }
};

struct Btr {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T bit, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tbtr %[bit], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [bit] "r"(bit)
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T bit, StatusFlags& status) {
        asm volatile("add $0x7f, %%al\n\tsahf\n\tlock btr %[bit], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "+a"(status.packed)
                     : [bit] "r"(bit)
                     : "cc", "memory");
    }
};

struct Btc {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T bit, StatusFlags& status) {
        asm("add $0x7f, %%al\n\tsahf\n\tbtc %[bit], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "+a"(status.packed)
            : [bit] "r"(bit)
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T bit, StatusFlags& status) {
        asm volatile("add $0x7f, %%al\n\tsahf\n\tlock btc %[bit], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "+a"(status.packed)
                     : [bit] "r"(bit)
                     : "cc", "memory");
    }
};

template <class O, class T, bool Immediate>
Link* bit_register(Processor& p, const Op* op) {
    const T result =
        O::template apply<T>(get<T>(p, op->reg), Immediate ? immediate<T>(op) : get<T>(p, op->reg2), p.regs.status);
    if constexpr (O::kWrites) set<T>(p, op->reg, result);
    return next(p, op);
}

constexpr std::uint8_t kLockedVariant = 1;

/// The bit number of a register operand is signed and reaches beyond the operand at the address.
template <class O, class T, bool Immediate>
Link* bit_memory(Processor& p, const Op* op) {
    const T number = Immediate ? immediate<T>(op) : get<T>(p, op->reg);
    std::uint64_t offset = effective_address(p, op);
    if constexpr (!Immediate) {
        const auto element = static_cast<std::make_signed_t<T>>(number) >> std::countr_zero(sizeof(T) * 8);
        offset += static_cast<std::uint64_t>(std::int64_t{element} * std::int64_t{sizeof(T)});
    }
    const std::uint64_t linear =
        op->address == address_form::kPlain ? offset : segmented_address(p, op, offset, sizeof(T), O::kWrites);
    const T bit = number % (sizeof(T) * 8);
    if constexpr (!O::kWrites) {
        const auto loaded = load<T>(p, linear, op->access);
        if (!loaded.ok) return stop(p, op);
        (void)O::template apply<T>(loaded.value, bit, p.regs.status);
    } else {
        const bool locked = op->variant == kLockedVariant;
        std::byte* host = open_operand(p, linear, sizeof(T), locked ? op->access | access::kLocked : op->access);
        if (host == nullptr) return stop(p, op);
        if (locked) {
            O::template apply_locked<T>(host, bit, p.regs.status);
        } else {
            host::store<T>(host, O::template apply<T>(host::load<T>(host), bit, p.regs.status));
        }
        close_operand(p, host);
    }
    return next(p, op);
}

template <class O>
bool build_bit(Draft& draft) {
    const Form form = set_operands(draft);
    if (draft.has_lock()) draft.op.variant = kLockedVariant;
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) {
            return nullptr;
        } else {
            switch (form) {
                case Form::kRegisterRegister: return &bit_register<O, T, false>;
                case Form::kRegisterImmediate: return &bit_register<O, T, true>;
                case Form::kMemoryRegister: return &bit_memory<O, T, false>;
                case Form::kMemoryImmediate: return &bit_memory<O, T, true>;
                default: return nullptr;
            }
        }
    });
    return draft.op.handler != nullptr;
}

/// The whole destination register goes through the host's instruction: with no bit set it stays as the host leaves it.
template <class T, bool Reverse>
std::uint64_t scan(std::uint64_t destination, T source, StatusFlags& status) {
    if constexpr (!Reverse) {
        if constexpr (sizeof(T) == 2)
            asm("add $0x7f, %%al\n\tsahf\n\tbsf %w[s], %w[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
        if constexpr (sizeof(T) == 4)
            asm("add $0x7f, %%al\n\tsahf\n\tbsf %k[s], %k[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
        if constexpr (sizeof(T) == 8)
            asm("add $0x7f, %%al\n\tsahf\n\tbsf %q[s], %q[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
    }
    if constexpr (Reverse) {
        if constexpr (sizeof(T) == 2)
            asm("add $0x7f, %%al\n\tsahf\n\tbsr %w[s], %w[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
        if constexpr (sizeof(T) == 4)
            asm("add $0x7f, %%al\n\tsahf\n\tbsr %k[s], %k[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
        if constexpr (sizeof(T) == 8)
            asm("add $0x7f, %%al\n\tsahf\n\tbsr %q[s], %q[d]\n\tlahf\n\tseto %%al"
                : [d] "+r"(destination), "+a"(status.packed)
                : [s] "r"(std::uint64_t{source})
                : "cc");
    }
    return destination;
}

template <class T, bool Reverse, bool FromMemory>
Link* bit_scan(Processor& p, const Op* op) {
    T source;
    if constexpr (FromMemory) {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        source = loaded.value;
    } else {
        source = get<T>(p, op->reg2);
    }
    set<std::uint64_t>(p, op->reg, scan<T, Reverse>(get<std::uint64_t>(p, op->reg), source, p.regs.status));
    return next(p, op);
}

template <bool Reverse>
bool build_scan(Draft& draft) {
    (void)set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) {
            return nullptr;
        } else {
            return draft.is_memory(1) ? &bit_scan<T, Reverse, true> : &bit_scan<T, Reverse, false>;
        }
    });
    return draft.op.handler != nullptr;
}

template <class T>
Link* bswap(Processor& p, const Op* op) {
    if constexpr (sizeof(T) == 2) {
        // Undefined; processors give 0.
        set<T>(p, op->reg, 0);
    } else {
        set<T>(p, op->reg, std::byteswap(get<T>(p, op->reg)));
    }
    return next(p, op);
}

bool build_bswap(Draft& draft) {
    (void)set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler { return &bswap<T>; });
    return true;
}

} // namespace

void add_bit(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_BT] = &build_bit<Bt>;
    table[ZYDIS_MNEMONIC_BTS] = &build_bit<Bts>;
    table[ZYDIS_MNEMONIC_BTR] = &build_bit<Btr>;
    table[ZYDIS_MNEMONIC_BTC] = &build_bit<Btc>;
    table[ZYDIS_MNEMONIC_BSF] = &build_scan<false>;
    table[ZYDIS_MNEMONIC_BSR] = &build_scan<true>;
    table[ZYDIS_MNEMONIC_BSWAP] = &build_bswap;
}

} // namespace touka::cpu::interpreter
