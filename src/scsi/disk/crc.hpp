#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "spec/scsi/byte_order.hpp"

namespace touka::scsi {

/// A cyclic redundancy check, most significant bit first, starting at 0, nothing inverted; eight bytes a step.
/// @tparam Word unsigned, 16 to 64 bits: the remainder.  @tparam kPolynomial without its highest term.
template <class Word, Word kPolynomial>
class Crc {
public:
    /// Goes on from `crc`, the check of what came before.
    [[nodiscard]] static Word of(std::span<const std::uint8_t> bytes, Word crc = 0) {
        const std::uint8_t* at = bytes.data();
        std::size_t left = bytes.size();
        for (; left >= 8; left -= 8, at += 8) {
            const std::uint64_t eight = spec::scsi::load_number({at, 8}) ^ static_cast<std::uint64_t>(crc)
                                                                               << (64 - kBits);
            crc = 0;
            for (unsigned i = 0; i < 8; ++i) crc ^= kTables[7 - i][eight >> (56 - 8 * i) & 0xFF];
        }
        for (; left > 0; --left, ++at) crc = step(crc, *at);
        return crc;
    }

private:
    static constexpr unsigned kBits = std::numeric_limits<Word>::digits;
    using Tables = std::array<std::array<Word, 256>, 8>;

    /// [n][byte]: what a byte leaves after n bytes of zeros have followed it.
    static constexpr Tables make_tables() {
        Tables tables{};
        for (unsigned byte = 0; byte < 256; ++byte) {
            auto crc = static_cast<Word>(static_cast<Word>(byte) << (kBits - 8));
            for (unsigned bit = 0; bit < 8; ++bit) {
                const bool carry = (crc >> (kBits - 1)) != 0;
                crc = static_cast<Word>(static_cast<Word>(crc << 1) ^ (carry ? kPolynomial : Word{0}));
            }
            tables[0][byte] = crc;
        }
        for (unsigned n = 1; n < 8; ++n) {
            for (unsigned byte = 0; byte < 256; ++byte) {
                const Word before = tables[n - 1][byte];
                tables[n][byte] = static_cast<Word>(static_cast<Word>(before << 8) ^ tables[0][before >> (kBits - 8)]);
            }
        }
        return tables;
    }
    static constexpr Tables kTables = make_tables();

    static Word step(Word crc, std::uint8_t byte) {
        return static_cast<Word>(static_cast<Word>(crc << 8) ^ kTables[0][(crc >> (kBits - 8)) ^ byte]);
    }
};

/// The guard of protection information. (SBC-4 §4.21.4)
using GuardCrc = Crc<std::uint16_t, 0x8BB7>;
/// For files of our own. (ECMA-182 annex B)
using Crc64 = Crc<std::uint64_t, 0x42F0'E1EB'A9EA'3693>;

} // namespace touka::scsi
