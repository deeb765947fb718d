#include "scsi/iscsi/crc32c.hpp"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace touka::scsi::iscsi {

namespace {

constexpr std::uint32_t kReversedPolynomial = 0x82F6'3B78;

constexpr std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ kReversedPolynomial : value >> 1;
        table[i] = value;
    }
    return table;
}();

[[gnu::target("sse4.2")]] std::uint32_t by_instruction(std::uint32_t state, std::span<const std::uint8_t> bytes) {
    std::uint64_t wide = state;
    while (bytes.size() >= 8) {
        std::uint64_t word;
        std::memcpy(&word, bytes.data(), sizeof word);
        wide = _mm_crc32_u64(wide, word);
        bytes = bytes.subspan(8);
    }
    auto narrow = static_cast<std::uint32_t>(wide);
    for (const std::uint8_t byte : bytes) narrow = _mm_crc32_u8(narrow, byte);
    return narrow;
}

} // namespace

std::uint32_t crc32c_by_table(std::uint32_t state, std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) state = kTable[(state ^ byte) & 0xFF] ^ state >> 8;
    return state;
}

std::uint32_t Crc32c::update(std::uint32_t state, std::span<const std::uint8_t> bytes) {
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    return has_instruction ? by_instruction(state, bytes) : crc32c_by_table(state, bytes);
}

} // namespace touka::scsi::iscsi
