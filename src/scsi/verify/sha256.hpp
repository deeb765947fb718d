#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace touka::scsi::verify {

using Sha256 = std::array<std::uint8_t, 32>;

/// The secure hash of bytes; our own, so that a probe in a guest needs no library. (FIPS 180-4 §6.2)
[[nodiscard]] Sha256 sha256(std::span<const std::uint8_t> bytes);

} // namespace touka::scsi::verify
