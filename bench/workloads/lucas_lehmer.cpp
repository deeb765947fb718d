// Numbers of thousands of bits: MULX and chains of ADC. The Lucas-Lehmer test squares a number modulo 2^p - 1 over and
// over; for a Mersenne prime the last one is 0, so that a wrong bit anywhere shows.
#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include <immintrin.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

using Limb = unsigned long long; // as the intrinsics have it
using Number = std::vector<Limb>;

// product += multiplicand * factor, with the carry after the last limb.
[[gnu::target("bmi2")]] void add_product(std::span<Limb> product, std::span<const Limb> multiplicand, Limb factor) {
    Limb carry = 0;
    for (std::size_t i = 0; i < multiplicand.size(); ++i) {
        Limb high = 0;
        const Limb low = _mulx_u64(multiplicand[i], factor, &high);
        unsigned char overflow = _addcarry_u64(0, low, carry, &carry);
        high += overflow; // at most 2^64 - 2 before
        overflow = _addcarry_u64(0, product[i], carry, &product[i]);
        carry = high + overflow;
    }
    product[multiplicand.size()] = carry;
}

// value = product modulo 2^bits - 1: the bits above are added to those below, as 2^bits is 1.
void reduce(std::span<const Limb> product, unsigned bits, Number& value) {
    const std::size_t words = bits / 64;
    const unsigned shift = bits % 64; // never 0: bits is a prime
    const Limb top_mask = (Limb{1} << shift) - 1;
    unsigned char carry = 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const Limb low = i == words ? product[i] & top_mask : product[i];
        const std::size_t above = words + i + 1;
        const Limb high = product[words + i] >> shift | (above < product.size() ? product[above] << (64 - shift) : 0);
        carry = _addcarry_u64(carry, low, high, &value[i]);
    }
    Limb around = value.back() >> shift;
    value.back() &= top_mask;
    for (std::size_t i = 0; around != 0 && i < value.size(); ++i)
        around = _addcarry_u64(0, value[i], around, &value[i]);
}

// value -= 2 modulo 2^bits - 1
void subtract_two(Number& value, unsigned bits) {
    unsigned char borrow = _subborrow_u64(0, value[0], 2, value.data());
    for (std::size_t i = 1; i < value.size(); ++i) borrow = _subborrow_u64(borrow, value[i], 0, &value[i]);
    if (borrow == 0) return;
    // It became 2^(64 * limbs) + value - 2; taking 1 away leaves the right residue in the low bits.
    borrow = _subborrow_u64(0, value[0], 1, value.data());
    for (std::size_t i = 1; i < value.size(); ++i) borrow = _subborrow_u64(borrow, value[i], 0, &value[i]);
    value.back() &= (Limb{1} << bits % 64) - 1;
}

bool is_zero(const Number& value, unsigned bits) {
    // All ones is the modulus itself.
    const Limb top = (Limb{1} << bits % 64) - 1;
    const bool zeros = std::ranges::all_of(value, [](Limb limb) { return limb == 0; });
    const bool ones =
        value.back() == top && std::all_of(value.begin(), value.end() - 1, [](Limb limb) { return limb == ~Limb{0}; });
    return zeros || ones;
}

bool is_mersenne_prime(unsigned bits) {
    Number value(bits / 64 + 1);
    Number product(2 * value.size() + 1);
    value[0] = 4;
    for (unsigned step = 2; step < bits; ++step) {
        std::ranges::fill(product, 0);
        for (std::size_t i = 0; i < value.size(); ++i) add_product(std::span(product).subspan(i), value, value[i]);
        reduce(product, bits, value);
        subtract_two(value, bits);
    }
    return is_zero(value, bits);
}

} // namespace

std::string_view lacks_bmi2() { return __builtin_cpu_supports("bmi2") != 0 ? "" : "no BMI2"; }

Answer lucas_lehmer(Trial& trial) {
    static constexpr std::array kExponents{89U, 127U, 521U, 607U, 1279U, 2203U, 3217U, 4423U};
    const std::uint64_t wanted = trial.amount(kExponents.back());
    unsigned bits = kExponents.front();
    for (const unsigned exponent : kExponents) bits = exponent <= wanted ? exponent : bits;
    require(is_mersenne_prime(bits), "a Mersenne prime is not prime");
    Answer answer;
    answer.add(bits);
    return answer;
}

} // namespace touka::bench
