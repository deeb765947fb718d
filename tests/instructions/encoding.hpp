#pragma once

#include <cstdint>
#include <vector>

#include "instructions/form.hpp"
#include "instructions/random.hpp"

namespace touka::tests::instructions {

/// The bytes of an encoding with ModRM as given and 8 bytes of zeros for immediates: enough to decode it.
[[nodiscard]] std::vector<std::uint8_t> plain_bytes(const Encoding& encoding);
/// Bytes of the same form with random registers, addressing mode, displacement and immediate. Empty when some tries
/// found none. The bytes decode to `decoded`.
[[nodiscard]] std::vector<std::uint8_t> random_bytes(const Form& form, Random& random, Decoded& decoded);

} // namespace touka::tests::instructions
