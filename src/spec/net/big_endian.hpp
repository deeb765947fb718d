// Integers in network byte order. (RFC 791 appendix B §"Data Transmission Order")
#pragma once

#include <bit>
#include <cstdint>

namespace touka::spec::net {

/// An integer as it is on the wire, most significant byte first; without alignment.
template <class Integer>
class [[gnu::packed]] BigEndian {
public:
    constexpr BigEndian() = default;
    constexpr BigEndian(Integer value) : wire_(swap(value)) {} // implicit: reads like the integer that it is
    constexpr operator Integer() const { return swap(wire_); }

private:
    static constexpr Integer swap(Integer value) {
        if constexpr (sizeof(Integer) == 2) return __builtin_bswap16(value);
        if constexpr (sizeof(Integer) == 4) return __builtin_bswap32(value);
    }
    Integer wire_ = 0;
};
using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
static_assert(std::endian::native == std::endian::little && sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(std::bit_cast<std::uint16_t>(Be16{0x0800}) == 0x0008);

} // namespace touka::spec::net
