#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "scsi/verify/response.hpp"

namespace touka::scsi::verify {

/// What says why, wherever the format has it. (SPC-5 §4.4.2 descriptor format, §4.4.3 fixed format)
struct SenseFields {
    std::uint8_t response_code = 0, key = 0, code = 0, qualifier = 0;
};

/// @return nothing when these are not sense data. What lies beyond their end is 0.
[[nodiscard]] inline std::optional<SenseFields> sense_fields(std::span<const std::uint8_t> sense) {
    const auto at = [&](std::size_t index) { return index < sense.size() ? sense[index] : std::uint8_t{0}; };
    SenseFields fields{.response_code = static_cast<std::uint8_t>(at(0) & 0x7F)};
    const bool descriptors = fields.response_code == 0x72 || fields.response_code == 0x73;
    if (!descriptors && fields.response_code != 0x70 && fields.response_code != 0x71) return std::nullopt;
    fields.key = at(descriptors ? 1 : 2) & 0x0F;
    fields.code = at(descriptors ? 2 : 12);
    fields.qualifier = at(descriptors ? 3 : 13);
    return fields;
}

[[nodiscard]] inline bool is_unit_attention(const Response& response) {
    constexpr std::uint8_t kCheckCondition = 0x02, kUnitAttention = 0x06;
    if (response.delivery != Delivery::kComplete || response.status != kCheckCondition) return false;
    const auto fields = sense_fields(response.sense);
    return fields && fields->key == kUnitAttention;
}

} // namespace touka::scsi::verify
