// MOVS, STOS, LODS, SCAS and CMPS with their repeat prefixes. (AMD64 APM vol. 3 rev. 3.36)
//
// Registers are right after each element, so that a fault or an interrupt in the middle leaves an instruction that goes
// on where it stopped. Repeated MOVS and STOS over RAM in 64-bit code run as the host's own, page by page.

#include <algorithm>

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/string_operand.hpp"

namespace touka::cpu::interpreter {
namespace {

using spec::kPageSize;

constexpr std::uint8_t kRax = gpr_offset(Gpr::kRax);

template <class T>
struct Movs {
    static constexpr bool kSource = true, kDestination = true;
    static bool apply(Processor& p, StringOperands& s) {
        const auto value = load<T>(p, s.source(p, sizeof(T)));
        return value.ok && store<T>(p, s.destination(p, sizeof(T), true), value.value);
    }
    /// Elements that lie on one page at both ends.
    static std::uint64_t apply_chunk(Processor& p, StringOperands& s, std::uint64_t count) {
        const std::uint64_t from = s.source(p, sizeof(T)), to = s.destination(p, sizeof(T), true);
        const std::uint64_t room = kPageSize - std::max(from % kPageSize, to % kPageSize);
        count = std::min(count, room / sizeof(T));
        if (count == 0) return 0;
        const auto length_bytes = static_cast<unsigned>(count * sizeof(T));
        const std::byte* source = ram_pointer(p, from, length_bytes, false);
        if (source == nullptr) return 0;
        std::byte* destination = ram_pointer(p, to, length_bytes, true);
        if (destination == nullptr) return 0;
        host_movs(destination, source, count);
        code_written(p, destination);
        return count;
    }
    static void host_movs(std::byte* destination, const std::byte* source, std::uint64_t count) {
        if constexpr (sizeof(T) == 1)
            asm volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
        if constexpr (sizeof(T) == 2)
            asm volatile("rep movsw" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
        if constexpr (sizeof(T) == 4)
            asm volatile("rep movsl" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
        if constexpr (sizeof(T) == 8)
            asm volatile("rep movsq" : "+D"(destination), "+S"(source), "+c"(count) : : "memory");
    }
};

template <class T>
struct Stos {
    static constexpr bool kSource = false, kDestination = true;
    static bool apply(Processor& p, StringOperands& s) {
        return store<T>(p, s.destination(p, sizeof(T), true), get<T>(p, kRax));
    }
    static std::uint64_t apply_chunk(Processor& p, StringOperands& s, std::uint64_t count) {
        const std::uint64_t to = s.destination(p, sizeof(T), true);
        count = std::min(count, (kPageSize - to % kPageSize) / sizeof(T));
        if (count == 0) return 0;
        std::byte* destination = ram_pointer(p, to, static_cast<unsigned>(count * sizeof(T)), true);
        if (destination == nullptr) return 0;
        host_stos(destination, get<T>(p, kRax), count);
        code_written(p, destination);
        return count;
    }
    static void host_stos(std::byte* destination, T value, std::uint64_t count) {
        if constexpr (sizeof(T) == 1)
            asm volatile("rep stosb" : "+D"(destination), "+c"(count) : "a"(value) : "memory");
        if constexpr (sizeof(T) == 2)
            asm volatile("rep stosw" : "+D"(destination), "+c"(count) : "a"(value) : "memory");
        if constexpr (sizeof(T) == 4)
            asm volatile("rep stosl" : "+D"(destination), "+c"(count) : "a"(value) : "memory");
        if constexpr (sizeof(T) == 8)
            asm volatile("rep stosq" : "+D"(destination), "+c"(count) : "a"(value) : "memory");
    }
};

template <class T>
struct Lods {
    static constexpr bool kSource = true, kDestination = false;
    static bool apply(Processor& p, StringOperands& s) {
        const auto value = load<T>(p, s.source(p, sizeof(T)));
        if (value.ok) set<T>(p, kRax, value.value);
        return value.ok;
    }
};

template <class T>
void compare(T a, T b, StatusFlags& status) {
    asm("cmp %[b], %[a]\n\tlahf\n\tseto %%al" : "=&a"(status.packed) : [a] "r"(a), [b] "r"(b) : "cc");
}

template <class T>
struct Scas {
    static constexpr bool kSource = false, kDestination = true;
    static bool apply(Processor& p, StringOperands& s) {
        const auto value = load<T>(p, s.destination(p, sizeof(T), false));
        if (value.ok) compare<T>(get<T>(p, kRax), value.value, p.regs.status);
        return value.ok;
    }
};

template <class T>
struct Cmps {
    static constexpr bool kSource = true, kDestination = true;
    static bool apply(Processor& p, StringOperands& s) {
        const auto first = load<T>(p, s.source(p, sizeof(T)));
        if (!first.ok) return false;
        const auto second = load<T>(p, s.destination(p, sizeof(T), false));
        if (second.ok) compare<T>(first.value, second.value, p.regs.status);
        return second.ok;
    }
};

template <class E>
constexpr bool kHasChunks = requires(Processor& p, StringOperands& s) { E::apply_chunk(p, s, 1); };

/// Whether SCAS and CMPS go on after an element.
[[nodiscard]] bool condition_holds(const Processor& p, Repeat repeat) {
    const bool equal = (p.regs.status.packed & StatusFlags::kZF) != 0;
    return equal == (repeat == Repeat::kWhileEqual);
}

template <class E, unsigned Bytes, bool Compares>
Link* run(Processor& p, const Op* op) {
    StringOperands s(p, op);
    const auto repeat = static_cast<Repeat>(op->variant);
    if (repeat == Repeat::kNone) {
        if (!E::apply(p, s)) return stop(p, op);
        s.advance(p, Bytes, 1, E::kSource, E::kDestination);
        return next(p, op);
    }
    for (std::uint64_t elements_since_look = 0; s.count(p) != 0;) {
        std::uint64_t done = 0;
        if constexpr (kHasChunks<E>) {
            if (s.is_plain_and_ascending() && !is_trapped(p)) done = E::apply_chunk(p, s, s.count(p));
            if (done == 0 && p.fault) return stop(p, op);
        }
        if (done == 0) {
            if (!E::apply(p, s)) return stop(p, op);
            done = 1;
        }
        s.advance(p, Bytes, done, E::kSource, E::kDestination);
        s.set_count(p, s.count(p) - done);
        if (Compares && !condition_holds(p, repeat)) break;
        if (s.count(p) == 0) break;
        if (is_trapped(p)) return leave_unfinished(p, op);
        elements_since_look += done;
        if (elements_since_look < StringOperands::kElementsBetweenLooks) continue;
        elements_since_look = 0;
        if (p.requests.load(std::memory_order_relaxed) != 0) return leave_unfinished(p, op);
    }
    return next(p, op);
}

template <template <class> class E, bool Compares>
bool build_string(Draft& draft) {
    if (!set_string(draft)) return false;
    draft.op.handler =
        by_width(draft.operand(0).size, [&]<class T>() -> Handler { return &run<E<T>, sizeof(T), Compares>; });
    return true;
}

} // namespace

void add_string(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_MOVSB] = table[ZYDIS_MNEMONIC_MOVSW] = &build_string<Movs, false>;
    table[ZYDIS_MNEMONIC_MOVSD] = table[ZYDIS_MNEMONIC_MOVSQ] = &build_string<Movs, false>;
    table[ZYDIS_MNEMONIC_STOSB] = table[ZYDIS_MNEMONIC_STOSW] = &build_string<Stos, false>;
    table[ZYDIS_MNEMONIC_STOSD] = table[ZYDIS_MNEMONIC_STOSQ] = &build_string<Stos, false>;
    table[ZYDIS_MNEMONIC_LODSB] = table[ZYDIS_MNEMONIC_LODSW] = &build_string<Lods, false>;
    table[ZYDIS_MNEMONIC_LODSD] = table[ZYDIS_MNEMONIC_LODSQ] = &build_string<Lods, false>;
    table[ZYDIS_MNEMONIC_SCASB] = table[ZYDIS_MNEMONIC_SCASW] = &build_string<Scas, true>;
    table[ZYDIS_MNEMONIC_SCASD] = table[ZYDIS_MNEMONIC_SCASQ] = &build_string<Scas, true>;
    table[ZYDIS_MNEMONIC_CMPSB] = table[ZYDIS_MNEMONIC_CMPSW] = &build_string<Cmps, true>;
    table[ZYDIS_MNEMONIC_CMPSD] = table[ZYDIS_MNEMONIC_CMPSQ] = &build_string<Cmps, true>;
}

} // namespace touka::cpu::interpreter
