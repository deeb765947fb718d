// Bytes to hexadecimal digits with PSHUFB as a table of sixteen: the way of text and codec libraries.
#include <array>
#include <vector>

#include <immintrin.h>

#include "workloads.hpp"

namespace touka::bench {

namespace {

// @param digits  twice as long as `bytes`, whose length is a multiple of 16.
[[gnu::target("ssse3")]] void to_hexadecimal(std::span<const unsigned char> bytes, std::span<unsigned char> digits) {
    const __m128i table = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
    const __m128i nibble = _mm_set1_epi8(0x0f);
    for (std::size_t i = 0; i < bytes.size(); i += 16) {
        const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&bytes[i]));
        const __m128i high = _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(chunk, 4), nibble));
        const __m128i low = _mm_shuffle_epi8(table, _mm_and_si128(chunk, nibble));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(&digits[2 * i]), _mm_unpacklo_epi8(high, low));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(&digits[2 * i + 16]), _mm_unpackhi_epi8(high, low));
    }
}

} // namespace

std::string_view lacks_ssse3() { return __builtin_cpu_supports("ssse3") != 0 ? "" : "no SSSE3"; }

Answer hexadecimal(Trial& trial) {
    Random random(7);
    std::vector<unsigned char> bytes(16'384);
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random.next());
    std::vector<unsigned char> digits(2 * bytes.size());
    const std::uint64_t rounds = trial.amount(30'000);
    trial.start_clock();
    for (std::uint64_t round = 0; round < rounds; ++round) {
        to_hexadecimal(bytes, digits);
        bytes[round % bytes.size()] = digits[round % digits.size()]; // each round has something new to do
    }
    trial.stop_clock();
    Answer answer;
    answer.add(digits);
    return answer;
}

} // namespace touka::bench
