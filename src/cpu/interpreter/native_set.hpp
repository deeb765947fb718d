// Which instructions run natively, and what the manuals say about each: availability, alignment, MXCSR.
// (Intel SDM vol. 2 rev. 084 §2.4, instruction exception classes; AMD64 APM vol. 4 and 5 rev. 3.23)
#pragma once

#include <cstdint>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// Of the instruction sets in native.hpp, present on the host, and neither element-wise nor about the state itself.
[[nodiscard]] bool is_native(const Instruction& i);
/// EVEX, or VEX on opmask registers.
[[nodiscard]] bool is_avx512(const Instruction& i);
/// Opcodes D8h to DFh, and FWAIT.
[[nodiscard]] bool is_x87_opcode(const Instruction& i);
[[nodiscard]] RegisterSet registers_needed(const Instruction& i, bool vectors, bool x87_or_mmx);
/// Can raise #XM, or depends on rounding, DAZ or FZ.
[[nodiscard]] bool is_under_mxcsr(const Instruction& i);
/// 1 when any address will do.
[[nodiscard]] std::uint8_t required_alignment(const Instruction& i, std::uint8_t memory_bytes);
/// The operand size prefix (or the mode) decides the width of the operand, rather than being part of the opcode.
[[nodiscard]] bool is_sized_by_operand(ZydisMnemonic mnemonic);

} // namespace touka::cpu::interpreter
