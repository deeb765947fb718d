// MUL, IMUL, DIV and IDIV by the host's own instructions. (AMD64 APM vol. 3 rev. 3.36)
// The guest's flags are loaded into the host first, because some stay and the undefined ones may depend on them:
// with StatusFlags::packed in AX, "add $0x7f, %al" sets OF from AL (0 or 1) and SAHF the others from AH.

#include <type_traits>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint8_t kRax = gpr_offset(Gpr::kRax), kAh = kRax + 1, kRdx = gpr_offset(Gpr::kRdx);

/// Writes the two halves of a product, or quotient and remainder: to xDX:xAX, or AH:AL.
template <class T>
void set_pair(Processor& p, T low, T high) {
    set<T>(p, kRax, low);
    set<T>(p, sizeof(T) == 1 ? kAh : kRdx, high);
}

template <class T, bool Signed>
void multiply(Processor& p, T b) {
    const T a = get<T>(p, kRax);
    std::uint64_t rax = p.regs.status.packed, low, high;
    if constexpr (Signed) {
        asm("add $0x7f, %%al\n\tsahf\n\tmov %[a], %%rax\n\timul %[b]\n\tmov %%rax, %[low]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [low] "=&r"(low), "=&d"(high)
            : [a] "r"(std::uint64_t{a}), [b] "r"(b)
            : "cc");
    } else {
        asm("add $0x7f, %%al\n\tsahf\n\tmov %[a], %%rax\n\tmul %[b]\n\tmov %%rax, %[low]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [low] "=&r"(low), "=&d"(high)
            : [a] "r"(std::uint64_t{a}), [b] "r"(b)
            : "cc");
    }
    p.regs.status.packed = static_cast<std::uint16_t>(rax);
    if constexpr (sizeof(T) == 1) high = low >> 8;
    set_pair<T>(p, static_cast<T>(low), static_cast<T>(high));
}

template <class T>
using Signed = std::make_signed_t<T>;

/// Does the quotient of high:low and divisor not fit (or exist)?
template <class T, bool IsSigned>
bool overflows(T low, T high, T divisor) {
    if (divisor == 0) return true;
    if constexpr (!IsSigned) {
        return high >= divisor;
    } else {
        constexpr auto kBits = sizeof(T) * 8;
        constexpr T kMin = T{1} << (kBits - 1);
        const bool negative = (high & kMin) != 0;
        const bool same_sign = negative == ((divisor & kMin) != 0);
        // Magnitudes of up to twice the width; the quotient's magnitude must stay below 2^(n-1), or reach it when
        // negative.
        using Wide = unsigned __int128;
        Wide dividend = Wide{high} << kBits | low;
        if (negative) dividend = (Wide{0} - dividend) & (kBits == 64 ? ~Wide{0} : (Wide{1} << (2 * kBits % 128)) - 1);
        const T divisor_magnitude = (divisor & kMin) != 0 ? static_cast<T>(T{0} - divisor) : divisor;
        const Wide limit = same_sign ? Wide{kMin} : Wide{kMin} + 1;
        return dividend >= limit * divisor_magnitude;
    }
}

template <class T, bool IsSigned>
bool divide(Processor& p, T divisor) {
    const T low_half = get<T>(p, kRax), high_half = get<T>(p, sizeof(T) == 1 ? kAh : kRdx);
    if (overflows<T, IsSigned>(low_half, high_half, divisor)) return p.raise(Exception::kDivideError);
    // The byte form divides AX.
    const std::uint64_t low = sizeof(T) == 1 ? get<std::uint16_t>(p, kRax) : low_half, high = high_half;
    std::uint64_t rax = p.regs.status.packed, quotient, remainder;
    if constexpr (IsSigned) {
        asm("add $0x7f, %%al\n\tsahf\n\tmov %[low], %%rax\n\tmov %[high], %%rdx\n\tidiv %[b]\n\tmov %%rax, "
            "%[quotient]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [quotient] "=&r"(quotient), "=&d"(remainder)
            : [low] "r"(low), [high] "r"(high), [b] "r"(divisor)
            : "cc");
    } else {
        asm("add $0x7f, %%al\n\tsahf\n\tmov %[low], %%rax\n\tmov %[high], %%rdx\n\tdiv %[b]\n\tmov %%rax, "
            "%[quotient]\n\tlahf\n\tseto %%al"
            : "+a"(rax), [quotient] "=&r"(quotient), "=&d"(remainder)
            : [low] "r"(low), [high] "r"(high), [b] "r"(divisor)
            : "cc");
    }
    p.regs.status.packed = static_cast<std::uint16_t>(rax);
    if constexpr (sizeof(T) == 1) remainder = quotient >> 8;
    set_pair<T>(p, static_cast<T>(quotient), static_cast<T>(remainder));
    return true;
}

struct Mul {
    template <class T>
    static bool apply(Processor& p, T b) {
        multiply<T, false>(p, b);
        return true;
    }
};
struct Imul {
    template <class T>
    static bool apply(Processor& p, T b) {
        multiply<T, true>(p, b);
        return true;
    }
};
struct Div {
    template <class T>
    static bool apply(Processor& p, T b) {
        return divide<T, false>(p, b);
    }
};
struct Idiv {
    template <class T>
    static bool apply(Processor& p, T b) {
        return divide<T, true>(p, b);
    }
};

template <class O, class T>
Link* accumulator_register(Processor& p, const Op* op) {
    return O::template apply<T>(p, get<T>(p, op->reg)) ? next(p, op) : stop(p, op);
}

template <class O, class T>
Link* accumulator_memory(Processor& p, const Op* op) {
    const auto source = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
    return source.ok && O::template apply<T>(p, source.value) ? next(p, op) : stop(p, op);
}

template <class O>
bool build_accumulator(Draft& draft) {
    (void)set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        return draft.is_register(0) ? &accumulator_register<O, T> : &accumulator_memory<O, T>;
    });
    return true;
}

template <class T>
T product(T a, T b, StatusFlags& status) {
    asm("add $0x7f, %%al\n\tsahf\n\timul %[b], %[a]\n\tlahf\n\tseto %%al"
        : [a] "+r"(a), "+a"(status.packed)
        : [b] "r"(b)
        : "cc");
    return a;
}

/// IMUL with a destination of its own: from itself and a source, or from a source and an immediate.
template <class T, bool FromMemory, bool ByImmediate>
Link* imul(Processor& p, const Op* op) {
    T source;
    if constexpr (FromMemory) {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        source = loaded.value;
    } else {
        source = get<T>(p, op->reg2);
    }
    set<T>(p, op->reg, product<T>(source, ByImmediate ? immediate<T>(op) : get<T>(p, op->reg), p.regs.status));
    return next(p, op);
}

bool build_imul(Draft& draft) {
    const auto count = draft.instruction.info.operand_count_visible;
    if (count == 1) return build_accumulator<Imul>(draft);
    (void)set_operands(draft);
    if (count == 3) draft.op.immediate = static_cast<std::int32_t>(draft.operand(2).imm.value.s);
    const bool from_memory = draft.is_memory(1);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) {
            return nullptr;
        } else {
            if (from_memory) return count == 3 ? &imul<T, true, true> : &imul<T, true, false>;
            return count == 3 ? &imul<T, false, true> : &imul<T, false, false>;
        }
    });
    return draft.op.handler != nullptr;
}

} // namespace

void add_multiply_divide(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_MUL] = &build_accumulator<Mul>;
    table[ZYDIS_MNEMONIC_IMUL] = &build_imul;
    table[ZYDIS_MNEMONIC_DIV] = &build_accumulator<Div>;
    table[ZYDIS_MNEMONIC_IDIV] = &build_accumulator<Idiv>;
}

} // namespace touka::cpu::interpreter
