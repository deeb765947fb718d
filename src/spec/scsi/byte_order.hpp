// Numbers in SCSI structures: most significant byte first, at any offset. (SPC-5 §3.5.5 "Numeric values in fields")
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace touka::spec::scsi {

/// Of a number's own width. Compilers make one load or store of this, and of the loops below do not.
template <class T>
[[nodiscard]] std::uint64_t load_whole(const std::uint8_t* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return std::byteswap(value);
}
template <class T>
void store_whole(std::uint8_t* bytes, std::uint64_t number) {
    const T value = std::byteswap(static_cast<T>(number));
    std::memcpy(bytes, &value, sizeof value);
}
static_assert(std::endian::native == std::endian::little);

/// The big-endian number in `bytes`, 1 to 8 of them.
[[nodiscard]] constexpr std::uint64_t load_number(std::span<const std::uint8_t> bytes) {
    if !consteval {
        switch (bytes.size()) {
            case 1: return bytes[0];
            case 2: return load_whole<std::uint16_t>(bytes.data());
            case 3: return load_whole<std::uint16_t>(bytes.data()) << 8 | bytes[2];
            case 4: return load_whole<std::uint32_t>(bytes.data());
            case 8: return load_whole<std::uint64_t>(bytes.data());
            default: break;
        }
    }
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

/// Writes the low bytes of `value` over all of `bytes`, 1 to 8 of them.
constexpr void store_number(std::span<std::uint8_t> bytes, std::uint64_t value) {
    if !consteval {
        switch (bytes.size()) {
            case 2: return store_whole<std::uint16_t>(bytes.data(), value);
            case 4: return store_whole<std::uint32_t>(bytes.data(), value);
            case 8: return store_whole<std::uint64_t>(bytes.data(), value);
            default: break;
        }
    }
    for (std::size_t i = bytes.size(); i > 0; --i, value >>= 8) bytes[i - 1] = static_cast<std::uint8_t>(value);
}

} // namespace touka::spec::scsi
