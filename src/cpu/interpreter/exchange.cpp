// XCHG, XADD, CMPXCHG, CMPXCHG8B and CMPXCHG16B by the host's own locked instructions. (AMD64 APM vol. 3 rev. 3.36)
// The forms with memory are locked with or without the prefix: nobody can tell that they are stronger than asked for.

#include <array>
#include <bit>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint8_t kRax = gpr_offset(Gpr::kRax);

[[nodiscard]] std::byte* open_locked(Processor& p, const Op* op, unsigned length_bytes) {
    return open_operand(p, linear_address(p, op, length_bytes, true), length_bytes, op->access | access::kLocked);
}

template <class T>
Link* xchg_register(Processor& p, const Op* op) {
    const T first = get<T>(p, op->reg), second = get<T>(p, op->reg2);
    set<T>(p, op->reg, second);
    set<T>(p, op->reg2, first);
    return next(p, op);
}

template <class T>
Link* xchg_memory(Processor& p, const Op* op) {
    std::byte* host = open_locked(p, op, sizeof(T));
    if (host == nullptr) return stop(p, op);
    T value = get<T>(p, op->reg);
    asm volatile("xchg %[v], %[m]" : [v] "+r"(value), [m] "+m"(host::bytes<T>(host)) : : "memory");
    close_operand(p, host);
    set<T>(p, op->reg, value);
    return next(p, op);
}

bool build_xchg(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        return form == Form::kRegisterRegister ? &xchg_register<T> : &xchg_memory<T>;
    });
    return true;
}

template <class T>
Link* xadd_register(Processor& p, const Op* op) {
    T destination = get<T>(p, op->reg), source = get<T>(p, op->reg2);
    asm("xadd %[s], %[d]\n\tlahf\n\tseto %%al"
        : [s] "+r"(source), [d] "+r"(destination), "=&a"(p.regs.status.packed)
        :
        : "cc");
    set<T>(p, op->reg2, source);
    set<T>(p, op->reg, destination); // last: both may be the same register
    return next(p, op);
}

template <class T>
Link* xadd_memory(Processor& p, const Op* op) {
    std::byte* host = open_locked(p, op, sizeof(T));
    if (host == nullptr) return stop(p, op);
    T source = get<T>(p, op->reg);
    asm volatile("lock xadd %[s], %[m]\n\tlahf\n\tseto %%al"
                 : [s] "+r"(source), [m] "+m"(host::bytes<T>(host)), "=&a"(p.regs.status.packed)
                 :
                 : "cc", "memory");
    close_operand(p, host);
    set<T>(p, op->reg, source);
    return next(p, op);
}

bool build_xadd(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        return form == Form::kRegisterRegister ? &xadd_register<T> : &xadd_memory<T>;
    });
    return true;
}

/// The accumulator passes as all of RAX, so that its upper half becomes what the host makes of it.
template <class T>
Link* cmpxchg_register(Processor& p, const Op* op) {
    std::uint64_t rax = get<std::uint64_t>(p, kRax), old = 0, destination = get<std::uint64_t>(p, op->reg);
    const T source = get<T>(p, op->reg2);
    if constexpr (sizeof(T) == 1) {
        auto low = static_cast<T>(get<T>(p, op->reg));
        asm("cmpxchg %[s], %[d]\n\tmov %%rax, %[old]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [old] "=&r"(old), [d] "+r"(low)
            : [s] "r"(source)
            : "cc");
        destination = low;
    } else if constexpr (sizeof(T) == 2) {
        asm("cmpxchg %[s], %w[d]\n\tmov %%rax, %[old]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [old] "=&r"(old), [d] "+r"(destination)
            : [s] "r"(source)
            : "cc");
    } else if constexpr (sizeof(T) == 4) {
        asm("cmpxchg %[s], %k[d]\n\tmov %%rax, %[old]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [old] "=&r"(old), [d] "+r"(destination)
            : [s] "r"(source)
            : "cc");
    } else {
        asm("cmpxchg %[s], %[d]\n\tmov %%rax, %[old]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [old] "=&r"(old), [d] "+r"(destination)
            : [s] "r"(source)
            : "cc");
    }
    p.regs.status.packed = static_cast<std::uint16_t>(rax);
    set(p, kRax, old);
    if constexpr (sizeof(T) == 1) {
        // A destination of AL or AH is the comparison's winner: it is written after the accumulator.
        set<T>(p, op->reg, static_cast<T>(destination));
    } else {
        const bool equal = (p.regs.status.packed & StatusFlags::kZF) != 0;
        if (equal || op->reg != kRax) set(p, op->reg, destination);
    }
    return next(p, op);
}

template <class T>
Link* cmpxchg_memory(Processor& p, const Op* op) {
    std::byte* host = open_locked(p, op, sizeof(T));
    if (host == nullptr) return stop(p, op);
    std::uint64_t rax = get<std::uint64_t>(p, kRax), old = 0;
    asm volatile("lock cmpxchg %[s], %[m]\n\tmov %%rax, %[old]\n\tlahf\n\tseto %%al"
                 : "+a"(rax), [old] "=&r"(old), [m] "+m"(host::bytes<T>(host))
                 : [s] "r"(get<T>(p, op->reg))
                 : "cc", "memory");
    close_operand(p, host);
    p.regs.status.packed = static_cast<std::uint16_t>(rax);
    set(p, kRax, old);
    return next(p, op);
}

bool build_cmpxchg(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        return form == Form::kRegisterRegister ? &cmpxchg_register<T> : &cmpxchg_memory<T>;
    });
    return true;
}

/// CMPXCHG8B (T is 32 bits wide) and CMPXCHG16B: of the flags only ZF changes.
template <class T>
Link* cmpxchg_pair(Processor& p, const Op* op) {
    constexpr unsigned kBytes = 2 * sizeof(T);
    const std::uint64_t linear = linear_address(p, op, kBytes, true);
    if (sizeof(T) == 8 && !p.fault && linear % kBytes != 0) {
        p.raise(Exception::kGeneralProtection);
        return stop(p, op);
    }
    std::byte* host = open_operand(p, linear, kBytes, op->access | access::kLocked);
    if (host == nullptr) return stop(p, op);
    T low = static_cast<T>(p.gpr(Gpr::kRax)), high = static_cast<T>(p.gpr(Gpr::kRdx));
    const T new_low = static_cast<T>(p.gpr(Gpr::kRbx)), new_high = static_cast<T>(p.gpr(Gpr::kRcx));
    bool equal = false;
    if constexpr (sizeof(T) == 8) {
        asm volatile("lock cmpxchg16b %[m]"
                     : "+a"(low), "+d"(high), [m] "+m"(*reinterpret_cast<host::Bytes<16>*>(host)), "=@ccz"(equal)
                     : "b"(new_low), "c"(new_high)
                     : "memory");
    } else {
        asm volatile("lock cmpxchg8b %[m]"
                     : "+a"(low), "+d"(high), [m] "+m"(*reinterpret_cast<host::Bytes<8>*>(host)), "=@ccz"(equal)
                     : "b"(new_low), "c"(new_high)
                     : "memory");
    }
    close_operand(p, host);
    const auto others = static_cast<std::uint16_t>(p.regs.status.packed & ~StatusFlags::kZF);
    p.regs.status.packed = equal ? static_cast<std::uint16_t>(others | StatusFlags::kZF) : others;
    if (!equal) {
        set<T>(p, kRax, low);
        set<T>(p, gpr_offset(Gpr::kRdx), high);
    }
    return next(p, op);
}

template <class T>
bool build_cmpxchg_pair(Draft& draft) {
    set_memory(draft, 0);
    draft.op.handler = &cmpxchg_pair<T>;
    return true;
}

} // namespace

void add_exchange(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_XCHG] = &build_xchg;
    table[ZYDIS_MNEMONIC_XADD] = &build_xadd;
    table[ZYDIS_MNEMONIC_CMPXCHG] = &build_cmpxchg;
    table[ZYDIS_MNEMONIC_CMPXCHG8B] = &build_cmpxchg_pair<std::uint32_t>;
    table[ZYDIS_MNEMONIC_CMPXCHG16B] = &build_cmpxchg_pair<std::uint64_t>;
}

} // namespace touka::cpu::interpreter
