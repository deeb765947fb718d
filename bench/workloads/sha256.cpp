// SHA-256 (FIPS 180-4) on general registers: rotations, additions, and a working set that does not fit in them.
#include <array>
#include <bit>
#include <string_view>
#include <vector>

#include "workloads.hpp"

namespace touka::bench {

namespace {

using Words = std::array<std::uint32_t, 8>;

// The first 32 bits of the fractional part of the cube root (degree 3) or square root (degree 2) of `prime` (§4.2.2,
// §5.3.3): floor(root(prime) * 2^32), by bisection in integers.
constexpr std::uint32_t root_fraction(std::uint64_t prime, int degree) {
    // root < 2^5, so the candidate has 37 bits, its square 74 and its cube 111.
    using Wide = unsigned __int128;
    std::uint64_t root = 0;
    for (int bit = 36; bit >= 0; --bit) {
        const std::uint64_t candidate = root | std::uint64_t{1} << bit;
        Wide power = Wide{candidate} * candidate;
        if (degree == 3) power *= candidate;
        if (power <= Wide{prime} << 32 * degree) root = candidate;
    }
    return static_cast<std::uint32_t>(root);
}

template <std::size_t count>
constexpr std::array<std::uint32_t, count> root_fractions(int degree) {
    std::array<std::uint32_t, count> fractions{};
    std::size_t found = 0;
    for (std::uint64_t number = 2; found < count; ++number) {
        bool prime = true;
        for (std::uint64_t divisor = 2; divisor * divisor <= number; ++divisor) prime = prime && number % divisor != 0;
        if (prime) fractions[found++] = root_fraction(number, degree);
    }
    return fractions;
}

constexpr auto kRoundConstants = root_fractions<64>(3);
constexpr Words kInitial = root_fractions<8>(2);

constexpr void compress(Words& state, std::span<const unsigned char, 64> block) {
    std::array<std::uint32_t, 64> schedule{};
    for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t byte = 0; byte < 4; ++byte) schedule[i] = schedule[i] << 8 | block[4 * i + byte];
    }
    for (std::size_t i = 16; i < 64; ++i) {
        const std::uint32_t x = schedule[i - 15];
        const std::uint32_t y = schedule[i - 2];
        schedule[i] = schedule[i - 16] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3) + schedule[i - 7] +
                      (std::rotr(y, 17) ^ std::rotr(y, 19) ^ y >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
        const std::uint32_t choice = (e & f) ^ (~e & g);
        const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
        const std::uint32_t first =
            h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + choice + kRoundConstants[i] + schedule[i];
        const std::uint32_t second = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + majority;
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    const Words worked{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += worked[i];
}

// FIPS 180-4's example: the message "abc", padded to one block.
constexpr Words digest_of_abc() {
    std::array<unsigned char, 64> block{'a', 'b', 'c', 0x80};
    block[63] = 24;
    Words state = kInitial;
    compress(state, block);
    return state;
}
static_assert(digest_of_abc() == Words{0xba78'16bf, 0x8f01'cfea, 0x4141'40de, 0x5dae'2223, 0xb003'61a3, 0x9617'7a9c,
                                       0xb410'ff61, 0xf200'15ad});

} // namespace

Answer sha256(Trial& trial) {
    Random random(3);
    std::vector<unsigned char> message(std::size_t{1} << 20);
    for (auto& byte : message) byte = static_cast<unsigned char>(random.next());
    Words state = kInitial;
    const std::uint64_t blocks = trial.amount(500'000);
    trial.start_clock();
    for (std::uint64_t block = 0; block < blocks; ++block)
        compress(state, std::span(message).subspan(block * 64 % message.size()).first<64>());
    Answer answer;
    for (const auto word : state) answer.add(word);
    return answer;
}

} // namespace touka::bench
