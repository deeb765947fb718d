// The registers of x87 and vectors in an XSAVE area of standard form, as engines and Linux's signal frames have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "instructions/machine_state.hpp"

namespace touka::tests::instructions {

/// XCR0: the components that tests are about.
[[nodiscard]] std::uint64_t vector_components();
/// Of the area, with components where this host has them.
[[nodiscard]] std::size_t vector_area_bytes();
/// @pre the area is that long at least. What it has beside the registers stays.
void put_vectors(const Registers& r, std::span<std::byte> area);
/// Components that XSTATE_BV does not name are in their initial state.
void take_vectors(std::span<const std::byte> area, Registers& r);

} // namespace touka::tests::instructions
