// Numbers in SCSI structures: most significant byte first, at any offset. (SPC-5 §3.5.5 "Numeric values in fields")
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace touka::spec::scsi {

/// The big-endian number in `bytes`, 1 to 8 of them.
[[nodiscard]] constexpr std::uint64_t load_number(std::span<const std::uint8_t> bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

/// Writes the low bytes of `value` over all of `bytes`, 1 to 8 of them.
constexpr void store_number(std::span<std::uint8_t> bytes, std::uint64_t value) {
    for (std::size_t i = bytes.size(); i > 0; --i, value >>= 8) bytes[i - 1] = static_cast<std::uint8_t>(value);
}

} // namespace touka::spec::scsi
