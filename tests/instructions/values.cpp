#include "instructions/values.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "cpu/interpreter/host_avx512.hpp"

namespace touka::tests::instructions {
namespace {

constexpr std::uint32_t kMxcsrMasks = 0x1F80;
constexpr std::uint16_t kX87Flags = 0x3F;

template <class T, std::size_t N>
T pick(Random& random, const std::array<T, N>& values) {
    return values[random.below(N)];
}

std::uint32_t random_mxcsr(Random& random) {
    std::uint32_t value = kMxcsrMasks;
    if (random.one_in(4)) value &= ~(static_cast<std::uint32_t>(random.next()) & kMxcsrMasks);
    if (random.one_in(2)) value |= static_cast<std::uint32_t>(random.below(4)) << 13;  // RC
    if (random.one_in(3)) value |= static_cast<std::uint32_t>(random.next()) & 0x8040; // FZ, DAZ
    if (random.one_in(4)) value |= static_cast<std::uint32_t>(random.next()) & 0x3F;   // sticky flags
    return value;
}

void randomise_x87(Random& random, Registers& r) {
    r.fcw = static_cast<std::uint16_t>(0x40 | kX87Flags | random.below(4) << 10 |
                                       pick<std::uint64_t, 3>(random, {0, 2, 3}) << 8);
    if (random.one_in(4)) r.fcw = static_cast<std::uint16_t>(r.fcw & ~(random.next() & kX87Flags));
    r.fsw = static_cast<std::uint16_t>(random.below(8) << 11 | (random.next() & 0x4700));
    if (random.one_in(8)) r.fsw = static_cast<std::uint16_t>(r.fsw | (random.next() & 0x7F));
    // ES and B say whether an unmasked exception is pending.
    if ((r.fsw & ~r.fcw & kX87Flags) != 0) r.fsw = static_cast<std::uint16_t>(r.fsw | 0x8080);
    r.ftw = random.one_in(3) ? random.byte() : std::uint8_t{0xFF};
    if (random.one_in(6)) r.ftw = 0;
    for (auto& st : r.st) st = interesting_extended(random);
}

} // namespace

std::uint64_t interesting_integer(Random& random) {
    constexpr std::array<std::uint64_t, 14> kValues = {0,
                                                       1,
                                                       2,
                                                       0x7F,
                                                       0x80,
                                                       0xFF,
                                                       0x7FFF,
                                                       0x8000,
                                                       0x7FFF'FFFF,
                                                       0x8000'0000,
                                                       0xFFFF'FFFF,
                                                       0x7FFF'FFFF'FFFF'FFFF,
                                                       0x8000'0000'0000'0000,
                                                       ~std::uint64_t{0}};
    switch (random.below(4)) {
        case 0: return pick(random, kValues);
        case 1: return random.below(256);
        case 2: return random.next() >> random.below(64);
        default: return random.next();
    }
}

std::uint32_t interesting_float(Random& random) {
    constexpr std::array<std::uint32_t, 12> kValues = {0,           0x3F80'0000, 0x0000'0001, 0x007F'FFFF,
                                                       0x0080'0000, 0x7F7F'FFFF, 0x7F80'0000, 0x7F80'0001,
                                                       0x7FC0'0000, 0x7FFF'FFFF, 0x4F00'0000, 0x3F00'0001};
    const auto sign = static_cast<std::uint32_t>(random.next()) & 0x8000'0000u;
    switch (random.below(3)) {
        case 0: return pick(random, kValues) | sign;
        case 1:
            return std::bit_cast<std::uint32_t>(
                static_cast<float>(static_cast<std::int64_t>(random.below(2000)) - 1000) / 8);
        default: return static_cast<std::uint32_t>(random.next());
    }
}

std::uint64_t interesting_double(Random& random) {
    constexpr std::array<std::uint64_t, 11> kValues = {0,
                                                       0x3FF0'0000'0000'0000,
                                                       1,
                                                       0x000F'FFFF'FFFF'FFFF,
                                                       0x0010'0000'0000'0000,
                                                       0x7FEF'FFFF'FFFF'FFFF,
                                                       0x7FF0'0000'0000'0000,
                                                       0x7FF0'0000'0000'0001,
                                                       0x7FF8'0000'0000'0000,
                                                       0x43E0'0000'0000'0000,
                                                       0x41E0'0000'0000'0000};
    const std::uint64_t sign = random.next() & std::uint64_t{1} << 63;
    switch (random.below(3)) {
        case 0: return pick(random, kValues) | sign;
        case 1:
            return std::bit_cast<std::uint64_t>(
                static_cast<double>(static_cast<std::int64_t>(random.below(2000)) - 1000) / 8);
        default: return random.next();
    }
}

std::array<std::uint8_t, 10> interesting_extended(Random& random) {
    constexpr std::array<std::uint16_t, 8> kExponents = {0, 0, 1, 0x3FFF, 0x4000, 0x403E, 0x7FFE, 0x7FFF};
    constexpr std::array<std::uint64_t, 7> kFractions = {
        0, std::uint64_t{1} << 63, std::uint64_t{3} << 62, (std::uint64_t{1} << 63) + 1, ~std::uint64_t{0},
        1, 0xA000'0000'0000'0000};
    std::uint16_t exponent =
        random.one_in(2) ? pick(random, kExponents) : static_cast<std::uint16_t>(0x3FE0 + random.below(64));
    std::uint64_t fraction = random.one_in(2) ? pick(random, kFractions) : random.next() | std::uint64_t{1} << 63;
    if (random.one_in(8)) {
        exponent = static_cast<std::uint16_t>(random.next());
        fraction = random.next();
    }
    exponent = static_cast<std::uint16_t>(exponent | (random.next() & 0x8000));
    std::array<std::uint8_t, 10> bytes;
    std::memcpy(bytes.data(), &fraction, 8);
    std::memcpy(bytes.data() + 8, &exponent, 2);
    return bytes;
}

void fill_interesting(Random& random, std::uint8_t* bytes, std::size_t count) {
    for (std::size_t done = 0; done < count;) {
        std::array<std::uint8_t, 32> run;
        const auto kind = random.below(4);
        for (std::size_t n = 0; n < run.size(); n += 8) {
            std::uint64_t value = 0;
            switch (kind) {
                case 0: value = interesting_integer(random); break;
                case 1: value = std::uint64_t{interesting_float(random)} << 32 | interesting_float(random); break;
                case 2: value = interesting_double(random); break;
                default: value = random.next(); break;
            }
            std::memcpy(run.data() + n, &value, 8);
        }
        const std::size_t length = std::min(run.size(), count - done);
        std::memcpy(bytes + done, run.data(), length);
        done += length;
    }
}

namespace {

/// Programs differ in what of AVX-512 they use.
void randomise_vectors(Random& random, Registers& r) {
    constexpr std::size_t kYmmBytes = 32;
    constexpr std::array<std::uint64_t, 3> kMasks = {0, 1, ~std::uint64_t{0}};
    for (std::size_t n = 0; n < 16; ++n) fill_interesting(random, r.zmm[n].data(), kYmmBytes);
    if (!cpu::interpreter::host_has_avx512() || random.one_in(4)) return;
    for (std::size_t n = 16; n < 32; ++n) fill_interesting(random, r.zmm[n].data(), r.zmm[n].size());
    for (auto& k : r.k) k = random.one_in(3) ? pick(random, kMasks) : random.next();
    if (random.one_in(3)) return;
    for (std::size_t n = 0; n < 16; ++n) fill_interesting(random, r.zmm[n].data() + kYmmBytes, kYmmBytes);
}

} // namespace

Registers random_registers(Random& random) {
    constexpr std::uint64_t kStatus = 0x8D5;
    Registers r;
    for (auto& gpr : r.gpr) gpr = interesting_integer(random);
    r.rflags = 0x202 | (random.next() & kStatus);
    randomise_vectors(random, r);
    r.mxcsr = random_mxcsr(random);
    randomise_x87(random, r);
    return r;
}

} // namespace touka::tests::instructions
