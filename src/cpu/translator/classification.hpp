// Which emitter an instruction goes to, and what it does to flags and memory.
#pragma once

#include <cstdint>

#include "cpu/translator/guest_instruction.hpp"
#include "spec/address.hpp"

namespace touka::cpu::translator {

/// Completes an instruction of 64-bit code that has `decoded` and `offset` set.
/// @param supervisor the code runs at CPL 0.
void classify(GuestInstruction& instruction, bool supervisor);

/// SHL and its like, SHLD and SHRD.
[[nodiscard]] bool is_shift(const GuestInstruction& instruction);

/// Operands farther from RIP are the interpreter's, so that a displacement from the page's start is none too big.
inline constexpr std::int32_t kMostFromRip = INT32_MAX - 2 * static_cast<std::int32_t>(spec::kPageSize);

/// The same instruction lies at `offset` of a page: its target, and its operand's address if that is relative.
void place(GuestInstruction& instruction, std::uint16_t offset);

} // namespace touka::cpu::translator
