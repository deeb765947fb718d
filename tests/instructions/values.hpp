// Operand values that make instructions show their corners.
#pragma once

#include "instructions/machine_state.hpp"
#include "instructions/random.hpp"

namespace touka::tests::instructions {

[[nodiscard]] std::uint64_t interesting_integer(Random& random);
/// 0, 1, extremes, denormals, infinities, quiet and signalling NaNs, or any bits.
[[nodiscard]] std::uint32_t interesting_float(Random& random);
[[nodiscard]] std::uint64_t interesting_double(Random& random);
/// As above; also pseudo-denormals, unnormals and packed decimals.
[[nodiscard]] std::array<std::uint8_t, 10> interesting_extended(Random& random);
/// Fills with runs of values of one of the kinds above.
void fill_interesting(Random& random, std::uint8_t* bytes, std::size_t count);
/// All registers but the instruction pointer. Exceptions are masked in three of four cases.
[[nodiscard]] Registers random_registers(Random& random);

} // namespace touka::tests::instructions
