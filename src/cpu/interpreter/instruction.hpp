// A decoded instruction in full, for the instructions that are executed from their description.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstdint>

namespace touka::cpu::interpreter {

struct Processor;

struct Instruction {
    ZydisDecodedInstruction info;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
    std::array<std::uint8_t, 15> bytes;
};

/// What an instruction did with the flow of control.
enum class Outcome {
    kNext,   ///< go on at next_rip
    kJumped, ///< rip is set (and perhaps the mode has changed): look the block up anew
    kFault,  ///< Processor::fault is set; nothing visible was changed
    kHalt,   ///< HLT: rip is behind it
};

/// One instruction executed from its description. On entry Processor::rip is its own address, next_rip what follows.
using ExecuteFunction = Outcome (*)(Processor&, const Instruction&);

/// Reads operand `index` (register, memory or immediate, at most 8 bytes), zero-extended.
/// @return false with Processor::fault set.
[[nodiscard]] bool read_operand(Processor& p, const Instruction& i, std::size_t index, std::uint64_t& value);
/// Writes a register or memory operand; 32-bit registers zero-extend.
[[nodiscard]] bool write_operand(Processor& p, const Instruction& i, std::size_t index, std::uint64_t value);
/// The linear address of a memory operand, segment checks done for an access of `length_bytes`.
[[nodiscard]] bool operand_address(Processor& p, const Instruction& i, std::size_t index, std::uint64_t length_bytes,
                                   bool write, std::uint64_t& linear);

} // namespace touka::cpu::interpreter
