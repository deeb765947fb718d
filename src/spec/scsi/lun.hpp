// Logical unit numbers. (SAM-6 §4.7)
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>

#include "spec/scsi/byte_order.hpp"

namespace touka::spec::scsi {

/// The eight bytes of a LUN as one number, first byte most significant. (SAM-6 §4.7.1)
struct Lun {
    std::uint64_t value = 0;
    constexpr auto operator<=>(const Lun&) const = default;

    [[nodiscard]] static constexpr Lun from_wire(std::span<const std::uint8_t, 8> bytes) {
        return {load_number(bytes)};
    }

    static constexpr std::uint32_t kLargestNumber = 0x3FFF;
    /// Peripheral device addressing on bus 0 below 256, flat space addressing above. (SAM-6 §4.7.7.2, §4.7.7.3)
    /// @param number 0 to kLargestNumber.
    [[nodiscard]] static constexpr Lun from_number(std::uint32_t number) {
        const std::uint64_t first_level = number < 256 ? number : 0x4000u | number;
        return {first_level << 48};
    }
    /// The number of a single-level LUN, however it is written; nothing for other forms (well-known, hierarchical).
    [[nodiscard]] constexpr std::optional<std::uint32_t> number() const {
        if ((value & 0x0000'FFFF'FFFF'FFFF) != 0) return std::nullopt;
        const auto first_level = static_cast<std::uint32_t>(value >> 48);
        switch (first_level >> 14) {
            case 0: return first_level < 256 ? std::optional(first_level) : std::nullopt;
            case 1: return first_level & kLargestNumber;
            default: return std::nullopt;
        }
    }
};
static_assert(Lun::from_number(1).value == 0x0001'0000'0000'0000);
static_assert(Lun::from_number(300).number() == 300);

/// REPORT LUNS well-known logical unit. (SAM-6 §4.7.7.5.1)
inline constexpr Lun kReportLunsWellKnownLun{0xC101'0000'0000'0000};

} // namespace touka::spec::scsi
