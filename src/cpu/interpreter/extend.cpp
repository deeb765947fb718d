// MOVZX, MOVSX, MOVSXD, CBW and CWD with their wider forms. (AMD64 APM vol. 3 rev. 3.36)

#include <type_traits>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {
namespace {

template <class To, class From, bool Signed>
[[gnu::always_inline]] inline To extend(From value) {
    if constexpr (Signed) {
        return static_cast<To>(static_cast<std::make_signed_t<From>>(value));
    } else {
        return static_cast<To>(value);
    }
}

template <class To, class From, bool Signed>
Link* extend_register(Processor& p, const Op* op) {
    set<To>(p, op->reg, extend<To, From, Signed>(get<From>(p, op->reg2)));
    return next(p, op);
}

template <class To, class From, bool Signed, Path path = Path::kQuick>
[[gnu::noinline]] Link* extend_memory(Processor& p, const Op* op) {
    if constexpr (path == Path::kQuick) {
        std::byte* host = quick_read(p, op, sizeof(From));
        if (host == nullptr) [[unlikely]]
            return extend_memory<To, From, Signed, Path::kFull>(p, op);
        set<To>(p, op->reg, extend<To, From, Signed>(host::load<From>(host)));
    } else {
        const auto loaded = load<From>(p, linear_address(p, op, sizeof(From), false), op->access);
        if (!loaded.ok) return stop(p, op);
        set<To>(p, op->reg, extend<To, From, Signed>(loaded.value));
    }
    return next(p, op);
}

template <bool Signed>
bool build_extend(Draft& draft) {
    const Form form = set_operands(draft);
    const unsigned from_bits = draft.operand(1).size;
    draft.op.handler = by_width(draft.operand(0).size, [&]<class To>() -> Handler {
        if constexpr (sizeof(To) == 1) {
            return nullptr;
        } else {
            return by_width(from_bits, [&]<class From>() -> Handler {
                // MOVSXD with a 16-bit destination reads 32 bits of memory all the same, at least on AMD's processors.
                constexpr bool kNarrows = Signed && sizeof(From) == 4 && sizeof(To) == 2;
                if constexpr (sizeof(From) == 8 || (sizeof(From) > sizeof(To) && !kNarrows)) {
                    return nullptr;
                } else if (form == Form::kRegisterMemory) {
                    return &extend_memory<To, From, Signed>;
                } else {
                    return &extend_register<To, From, Signed>;
                }
            });
        }
    });
    return draft.op.handler != nullptr;
}

constexpr std::uint8_t kRax = gpr_offset(Gpr::kRax), kRdx = gpr_offset(Gpr::kRdx);

/// CBW, CWDE, CDQE: the accumulator from its own lower half.
template <class To, class From>
Link* extend_accumulator(Processor& p, const Op* op) {
    set<To>(p, kRax, extend<To, From, true>(get<From>(p, kRax)));
    return next(p, op);
}

/// CWD, CDQ, CQO: xDX full of the accumulator's sign.
template <class T>
Link* spread_sign(Processor& p, const Op* op) {
    const auto value = static_cast<std::make_signed_t<T>>(get<T>(p, kRax));
    set<T>(p, kRdx, static_cast<T>(value >> (sizeof(T) * 8 - 1)));
    return next(p, op);
}

} // namespace

void add_extend(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_MOVZX] = &build_extend<false>;
    table[ZYDIS_MNEMONIC_MOVSX] = &build_extend<true>;
    table[ZYDIS_MNEMONIC_MOVSXD] = &build_extend<true>;
    table[ZYDIS_MNEMONIC_CBW] = &build_plain<&extend_accumulator<std::uint16_t, std::uint8_t>>;
    table[ZYDIS_MNEMONIC_CWDE] = &build_plain<&extend_accumulator<std::uint32_t, std::uint16_t>>;
    table[ZYDIS_MNEMONIC_CDQE] = &build_plain<&extend_accumulator<std::uint64_t, std::uint32_t>>;
    table[ZYDIS_MNEMONIC_CWD] = &build_plain<&spread_sign<std::uint16_t>>;
    table[ZYDIS_MNEMONIC_CDQ] = &build_plain<&spread_sign<std::uint32_t>>;
    table[ZYDIS_MNEMONIC_CQO] = &build_plain<&spread_sign<std::uint64_t>>;
}

} // namespace touka::cpu::interpreter
