// Memory operands under an opmask register: only the elements that it chooses are accessed, so only they can fault.
// (Intel SDM vol. 2 rev. 084 §2.7.5, §2.8: exception classes E1 to E6, E10 and E11)
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/register_file.hpp"

namespace touka::cpu::interpreter {

/// Which elements of a memory operand an instruction accesses.
struct MaskedOperand {
    enum class Mapping : std::uint8_t {
        kEach,     ///< bit n of the opmask: element n
        kRepeated, ///< a broadcast: memory's elements again and again, each for its own bit
        kPacked,   ///< compress and expand: as many of memory's first elements as there are bits
    };

    Mapping mapping = Mapping::kEach;
    std::uint8_t opmask = 0;
    std::uint8_t element_bytes = 0; ///< 1, 2, 4 or 8
    std::uint8_t element_count = 0; ///< in memory
    std::uint8_t bit_count = 0;     ///< of the opmask that count

    /// Bit n: element n of memory.
    [[nodiscard]] std::uint64_t chosen(const RegisterFile& regs) const;
};

/// Compress and expand.
[[nodiscard]] bool is_packed(ZydisMnemonic mnemonic);
/// @return nothing when the operand is accessed as a whole: without a mask, or in a class without fault suppression.
[[nodiscard]] std::optional<MaskedOperand> masked_operand(const Instruction& i, std::size_t memory_operand);

} // namespace touka::cpu::interpreter
