// AND, OR, XOR, TEST, NOT by the host's own instructions. (AMD64 APM vol. 3 rev. 3.36)

#include "cpu/interpreter/one_operand.hpp"
#include "cpu/interpreter/two_operand.hpp"

namespace touka::cpu::interpreter {
namespace {

struct And {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("and %[b], %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : [b] "r"(b) : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("lock and %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b)
                     : "cc", "memory");
    }
};

struct Or {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("or %[b], %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : [b] "r"(b) : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("lock or %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b)
                     : "cc", "memory");
    }
};

struct Xor {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("xor %[b], %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : [b] "r"(b) : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("lock xor %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b)
                     : "cc", "memory");
    }
};

struct Test {
    static constexpr bool kWrites = false;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("test %[b], %[a]\n\tlahf\n\tseto %%al" : "=&a"(status.packed) : [a] "r"(a), [b] "r"(b) : "cc");
        return a;
    }
};

struct Not {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, StatusFlags&) {
        asm("not %[a]" : [a] "+r"(a));
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, StatusFlags&) {
        auto& m = host::bytes<T>(host);
        if constexpr (sizeof(T) == 1) asm volatile("lock notb %[m]" : [m] "+m"(m) : : "memory");
        if constexpr (sizeof(T) == 2) asm volatile("lock notw %[m]" : [m] "+m"(m) : : "memory");
        if constexpr (sizeof(T) == 4) asm volatile("lock notl %[m]" : [m] "+m"(m) : : "memory");
        if constexpr (sizeof(T) == 8) asm volatile("lock notq %[m]" : [m] "+m"(m) : : "memory");
    }
};

} // namespace

void add_logic(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_AND] = &build_two_operand<And>;
    table[ZYDIS_MNEMONIC_OR] = &build_two_operand<Or>;
    table[ZYDIS_MNEMONIC_XOR] = &build_two_operand<Xor>;
    table[ZYDIS_MNEMONIC_TEST] = &build_two_operand<Test>;
    table[ZYDIS_MNEMONIC_NOT] = &build_one_operand<Not>;
}

} // namespace touka::cpu::interpreter
