// Memory operands longer than a register: found, checked and copied as a whole.
#pragma once

#include <cstdint>
#include <span>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/memory_access.hpp"

namespace touka::cpu::interpreter {

/// Index of the instruction's memory operand, hidden ones included. @pre it has one.
[[nodiscard]] std::size_t memory_operand_index(const Instruction& i);

/// access::kStack for an operand in the stack segment: its faults are #SS.
[[nodiscard]] inline std::uint8_t stack_access(const Instruction& i, std::size_t index) {
    return i.operands[index].mem.segment == ZYDIS_REGISTER_SS ? access::kStack : std::uint8_t{0};
}

/// Would an access to all of [linear, linear + length_bytes) succeed? Pages are tried from the lowest.
/// @param access access::kStack or 0. @return false with Processor::fault set.
[[nodiscard]] bool probe_block(Processor& p, std::uint64_t linear, std::size_t length_bytes, bool write,
                               std::uint8_t access = 0);
[[nodiscard]] bool read_block(Processor& p, std::uint64_t linear, std::span<std::uint8_t> bytes,
                              std::uint8_t access = 0);
[[nodiscard]] bool write_block(Processor& p, std::uint64_t linear, std::span<const std::uint8_t> bytes);

} // namespace touka::cpu::interpreter
