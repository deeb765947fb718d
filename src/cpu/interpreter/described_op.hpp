// Ops of instructions that have no handler of their own: executed from their description, by host code, or #UD.
#pragma once

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/native.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {

class BlockCache;

/// What Op::description points to: kept in the arena of the block cache.
struct Description {
    ExecuteFunction function;
    Instruction instruction;
};

/// Completes the op of an instruction that no builder took: asks the system instructions, the data instructions and
/// the host code, in this order; what nobody knows becomes #UD and is counted.
/// @param native set to the host instruction when the op is one: the op after it must then be only its operand, made
///        by native_operand(), and is never run.
/// @return false when there is no memory left for the description.
[[nodiscard]] bool complete_described(Draft& draft, BlockCache& cache, const HostInstruction*& native);

/// The op after a native one.
[[nodiscard]] Op native_operand(const HostInstruction* native);

/// An op that raises an exception: bytes that are no instruction.
[[nodiscard]] Handler invalid_opcode_handler();
[[nodiscard]] Handler too_long_handler();
/// The op at the end of a block that does not end by itself: goes on at its own address, by its Op::link when
/// Op::variant is not 0.
[[nodiscard]] Handler fall_through_handler();
/// What the rest of a running block becomes when its bytes change: goes on at its own address in another block.
[[nodiscard]] Handler leave_block_handler();

} // namespace touka::cpu::interpreter
