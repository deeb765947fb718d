// AES-128 (FIPS 197) in counter mode, twice: by the processor's instructions, and by tables on general registers.
#include <array>
#include <bit>
#include <cstring>

#include <immintrin.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

using Block = std::array<std::uint8_t, 16>;
constexpr std::size_t kRounds = 10;
using RoundKeys = std::array<Block, kRounds + 1>;

// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (§4.2).
constexpr std::uint8_t multiply(std::uint8_t a, std::uint8_t b) {
    std::uint8_t product = 0;
    for (; b != 0; b = static_cast<std::uint8_t>(b >> 1)) {
        if ((b & 1) != 0) product ^= a;
        a = static_cast<std::uint8_t>(a << 1 ^ ((a & 0x80) != 0 ? 0x1b : 0));
    }
    return product;
}

// SubBytes (§5.1.1): the inverse, which is the 254th power (2 + 4 + ... + 128), then an affine map.
constexpr std::uint8_t substitute(std::uint8_t value) {
    std::uint8_t inverse = 1;
    std::uint8_t power = value;
    for (int i = 0; i < 7; ++i) {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    const auto rotated = [&](int by) { return std::rotl(inverse, by); };
    return static_cast<std::uint8_t>(inverse ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63);
}

struct Tables {
    std::array<std::uint8_t, 256> substitution;
    // SubBytes and MixColumns of a byte in row 0, as a column with row 0 lowest; other rows are rotations of it.
    std::array<std::uint32_t, 256> columns;
};

constexpr Tables make_tables() {
    Tables tables{};
    for (std::size_t i = 0; i < 256; ++i) {
        const std::uint8_t byte = substitute(static_cast<std::uint8_t>(i));
        const std::uint32_t twice = multiply(byte, 2);
        tables.substitution[i] = byte;
        tables.columns[i] = twice | std::uint32_t{byte} << 8 | std::uint32_t{byte} << 16 | (twice ^ byte) << 24;
    }
    return tables;
}

constexpr Tables kTables = make_tables();

// KeyExpansion (§5.2)
constexpr RoundKeys expand(const Block& key) {
    RoundKeys keys{key};
    std::uint8_t constant = 1;
    for (std::size_t round = 1; round <= kRounds; ++round) {
        const Block& before = keys[round - 1];
        Block& now = keys[round];
        for (std::size_t i = 0; i < 4; ++i) now[i] = before[i] ^ kTables.substitution[before[12 + (i + 1) % 4]];
        now[0] ^= constant;
        constant = multiply(constant, 2);
        for (std::size_t i = 4; i < 16; ++i) now[i] = before[i] ^ now[i - 4];
    }
    return keys;
}

constexpr std::uint32_t column_of(const Block& block, std::size_t column) {
    std::uint32_t word = 0;
    for (std::size_t row = 4; row-- > 0;) word = word << 8 | block[4 * column + row];
    return word;
}

constexpr Block encrypt(const RoundKeys& keys, const Block& plain) {
    std::array<std::uint32_t, 4> state{};
    for (std::size_t column = 0; column < 4; ++column)
        state[column] = column_of(plain, column) ^ column_of(keys[0], column);
    // ShiftRows: row r of a column comes from r columns further on.
    const auto byte_of = [&state](std::size_t column, unsigned row) {
        return state[(column + row) % 4] >> 8 * row & 0xff;
    };
    for (std::size_t round = 1; round < kRounds; ++round) {
        std::array<std::uint32_t, 4> next{};
        for (std::size_t column = 0; column < 4; ++column) {
            next[column] = column_of(keys[round], column) ^ kTables.columns[byte_of(column, 0)] ^
                           std::rotl(kTables.columns[byte_of(column, 1)], 8) ^
                           std::rotl(kTables.columns[byte_of(column, 2)], 16) ^
                           std::rotl(kTables.columns[byte_of(column, 3)], 24);
        }
        state = next;
    }
    Block cipher{};
    for (std::size_t column = 0; column < 4; ++column) {
        for (unsigned row = 0; row < 4; ++row) {
            const std::size_t i = 4 * column + row;
            cipher[i] = static_cast<std::uint8_t>(keys[kRounds][i] ^ kTables.substitution[byte_of(column, row)]);
        }
    }
    return cipher;
}

constexpr Block counting(std::uint8_t first, std::uint8_t step) {
    Block block{};
    for (std::size_t i = 0; i < 16; ++i) block[i] = static_cast<std::uint8_t>(first + i * step);
    return block;
}

// Appendix C.1's example.
static_assert(encrypt(expand(counting(0, 1)), counting(0, 0x11)) ==
              Block{0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a});

Block counter_block(std::uint64_t counter) {
    Block block{};
    std::memcpy(block.data(), &counter, sizeof(counter));
    return block;
}

struct Lane {
    __m128i bits;
};

constexpr std::size_t kLanes = 8; // blocks at a time: AESENC's latency is several times its throughput

// @return the sum (exclusive or) of the key stream's blocks, in which every bit of every block counts.
[[gnu::target("aes,sse2")]] Block sum_by_instructions(const RoundKeys& keys, std::uint64_t batches) {
    std::array<Lane, kRounds + 1> key{};
    for (std::size_t round = 0; round <= kRounds; ++round) std::memcpy(&key[round], keys[round].data(), 16);
    __m128i sum = _mm_setzero_si128();
    for (std::uint64_t batch = 0; batch < batches; ++batch) {
        std::array<Lane, kLanes> lanes{};
        for (std::size_t i = 0; i < kLanes; ++i) {
            const std::uint64_t counter = batch * kLanes + i;
            lanes[i].bits = _mm_xor_si128(key[0].bits, _mm_cvtsi64_si128(static_cast<long long>(counter)));
        }
        for (std::size_t round = 1; round < kRounds; ++round) {
            for (auto& lane : lanes) lane.bits = _mm_aesenc_si128(lane.bits, key[round].bits);
        }
        for (auto& lane : lanes) sum = _mm_xor_si128(sum, _mm_aesenclast_si128(lane.bits, key[kRounds].bits));
    }
    Block block{};
    std::memcpy(block.data(), &sum, block.size());
    return block;
}

Block sum_by_tables(const RoundKeys& keys, std::uint64_t batches) {
    Block sum{};
    for (std::uint64_t counter = 0; counter < batches * kLanes; ++counter) {
        const Block cipher = encrypt(keys, counter_block(counter));
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] ^= cipher[i];
    }
    return sum;
}

} // namespace

std::string_view lacks_aes() { return __builtin_cpu_supports("aes") != 0 ? "" : "no AES-NI"; }

Answer aes_instructions(Trial& trial) {
    const RoundKeys keys = expand(counting(0, 1));
    require(sum_by_instructions(keys, 10) == sum_by_tables(keys, 10), "AES-NI and the tables disagree");
    const std::uint64_t batches = trial.amount(1'000'000);
    trial.start_clock();
    Answer answer;
    answer.add(sum_by_instructions(keys, batches));
    return answer;
}

Answer aes_tables(Trial& trial) {
    Answer answer;
    answer.add(sum_by_tables(expand(counting(0, 1)), trial.amount(80'000)));
    return answer;
}

} // namespace touka::bench
