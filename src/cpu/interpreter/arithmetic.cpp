// ADD, ADC, SUB, SBB, CMP, INC, DEC, NEG by the host's own instructions. (AMD64 APM vol. 3 rev. 3.36)
// The carry that ADC and SBB take and INC and DEC keep is put into the host's CF first, by BT.

#include "cpu/interpreter/one_operand.hpp"
#include "cpu/interpreter/two_operand.hpp"

namespace touka::cpu::interpreter {
namespace {

struct Add {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("add %[b], %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : [b] "r"(b) : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("lock add %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b)
                     : "cc", "memory");
    }
};

struct Adc {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("bt $8, %w[flags]\n\tadc %[b], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "=&a"(status.packed)
            : [b] "r"(b), [flags] "r"(std::uint32_t{status.packed})
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("bt $8, %w[flags]\n\tlock adc %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b), [flags] "r"(std::uint32_t{status.packed})
                     : "cc", "memory");
    }
};

struct Sub {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("sub %[b], %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : [b] "r"(b) : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("lock sub %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b)
                     : "cc", "memory");
    }
};

struct Sbb {
    static constexpr bool kWrites = true;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("bt $8, %w[flags]\n\tsbb %[b], %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "=&a"(status.packed)
            : [b] "r"(b), [flags] "r"(std::uint32_t{status.packed})
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, T b, StatusFlags& status) {
        asm volatile("bt $8, %w[flags]\n\tlock sbb %[b], %[m]\n\tlahf\n\tseto %%al"
                     : [m] "+m"(host::bytes<T>(host)), "=&a"(status.packed)
                     : [b] "r"(b), [flags] "r"(std::uint32_t{status.packed})
                     : "cc", "memory");
    }
};

struct Cmp {
    static constexpr bool kWrites = false;
    template <class T>
    [[gnu::always_inline]] static T apply(T a, T b, StatusFlags& status) {
        asm("cmp %[b], %[a]\n\tlahf\n\tseto %%al" : "=&a"(status.packed) : [a] "r"(a), [b] "r"(b) : "cc");
        return a;
    }
};

struct Inc {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, StatusFlags& status) {
        asm("bt $8, %w[flags]\n\tinc %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "=&a"(status.packed)
            : [flags] "r"(std::uint32_t{status.packed})
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, StatusFlags& status) {
        auto& m = host::bytes<T>(host);
        if constexpr (sizeof(T) == 1)
            asm volatile("bt $8, %w[flags]\n\tlock incb %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 2)
            asm volatile("bt $8, %w[flags]\n\tlock incw %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 4)
            asm volatile("bt $8, %w[flags]\n\tlock incl %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 8)
            asm volatile("bt $8, %w[flags]\n\tlock incq %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
    }
};

struct Dec {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, StatusFlags& status) {
        asm("bt $8, %w[flags]\n\tdec %[a]\n\tlahf\n\tseto %%al"
            : [a] "+r"(a), "=&a"(status.packed)
            : [flags] "r"(std::uint32_t{status.packed})
            : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, StatusFlags& status) {
        auto& m = host::bytes<T>(host);
        if constexpr (sizeof(T) == 1)
            asm volatile("bt $8, %w[flags]\n\tlock decb %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 2)
            asm volatile("bt $8, %w[flags]\n\tlock decw %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 4)
            asm volatile("bt $8, %w[flags]\n\tlock decl %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
        if constexpr (sizeof(T) == 8)
            asm volatile("bt $8, %w[flags]\n\tlock decq %[m]\n\tlahf\n\tseto %%al"
                         : [m] "+m"(m), "=&a"(status.packed)
                         : [flags] "r"(std::uint32_t{status.packed})
                         : "cc", "memory");
    }
};

struct Neg {
    template <class T>
    [[gnu::always_inline]] static T apply(T a, StatusFlags& status) {
        asm("neg %[a]\n\tlahf\n\tseto %%al" : [a] "+r"(a), "=&a"(status.packed) : : "cc");
        return a;
    }
    template <class T>
    static void apply_locked(std::byte* host, StatusFlags& status) {
        auto& m = host::bytes<T>(host);
        if constexpr (sizeof(T) == 1)
            asm volatile("lock negb %[m]\n\tlahf\n\tseto %%al" : [m] "+m"(m), "=&a"(status.packed) : : "cc", "memory");
        if constexpr (sizeof(T) == 2)
            asm volatile("lock negw %[m]\n\tlahf\n\tseto %%al" : [m] "+m"(m), "=&a"(status.packed) : : "cc", "memory");
        if constexpr (sizeof(T) == 4)
            asm volatile("lock negl %[m]\n\tlahf\n\tseto %%al" : [m] "+m"(m), "=&a"(status.packed) : : "cc", "memory");
        if constexpr (sizeof(T) == 8)
            asm volatile("lock negq %[m]\n\tlahf\n\tseto %%al" : [m] "+m"(m), "=&a"(status.packed) : : "cc", "memory");
    }
};

} // namespace

void add_arithmetic(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_ADD] = &build_two_operand<Add>;
    table[ZYDIS_MNEMONIC_ADC] = &build_two_operand<Adc>;
    table[ZYDIS_MNEMONIC_SUB] = &build_two_operand<Sub>;
    table[ZYDIS_MNEMONIC_SBB] = &build_two_operand<Sbb>;
    table[ZYDIS_MNEMONIC_CMP] = &build_two_operand<Cmp>;
    table[ZYDIS_MNEMONIC_INC] = &build_one_operand<Inc>;
    table[ZYDIS_MNEMONIC_DEC] = &build_one_operand<Dec>;
    table[ZYDIS_MNEMONIC_NEG] = &build_one_operand<Neg>;
}

} // namespace touka::cpu::interpreter
