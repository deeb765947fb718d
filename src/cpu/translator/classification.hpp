// Which emitter an instruction goes to, and what it does to flags and memory.
#pragma once

#include "cpu/translator/guest_instruction.hpp"

namespace touka::cpu::translator {

/// Completes an instruction of 64-bit code that has `decoded` and `offset` set.
/// @param supervisor the code runs at CPL 0.
void classify(GuestInstruction& instruction, bool supervisor);

/// The same instruction lies at `offset` of a page: its target, and its operand's address if that is relative.
void place(GuestInstruction& instruction, std::uint16_t offset);

} // namespace touka::cpu::translator
