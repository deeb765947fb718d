// Pieces that far jumps, calls, returns and IRET share.
#pragma once

#include <cstdint>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/segmentation.hpp"
#include "cpu/interpreter/stack.hpp"

namespace touka::cpu::interpreter {

struct FarPointer {
    std::uint16_t selector = 0;
    std::uint64_t offset = 0;
    unsigned width_bytes = 0; ///< of the offset: the operand size
};

/// The far pointer of a JMP, CALL or LDS kind of instruction: operand `index`, immediate or in memory.
[[nodiscard]] bool read_far_pointer(Processor& p, const Instruction& i, std::size_t index, FarPointer& out);

/// CS for a return to privilege `cpl` (the RPL of `selector`), with its checks. Accessed bit set.
/// @return false with #GP or #NP naming the selector, or #PF.
[[nodiscard]] bool read_return_segment(Processor& p, std::uint16_t selector, SegmentState& out);

/// The frame of a RETF or IRET in protected mode, popped.
struct ReturnFrame {
    std::uint64_t rip = 0;
    std::uint16_t cs = 0;
    std::uint64_t rsp = 0;
    std::uint16_t ss = 0;
    bool has_stack = false; ///< SS:RSP were popped
};
/// SS for that return: null is allowed when 64-bit code below CPL 3 follows.
[[nodiscard]] bool read_return_stack(Processor& p, const ReturnFrame& frame, const SegmentState& cs, SegmentState& out);
/// Goes there. `stack` is behind the frame: it becomes the stack pointer unless the frame brought one, to which
/// `extra_bytes` (the operand of RETF) are added.
void enter_outer_or_same(Processor& p, const ReturnFrame& frame, const SegmentState& cs, const SegmentState& ss,
                         const StackCursor& stack, std::uint64_t extra_bytes);

// ExecuteFunctions.
[[nodiscard]] Outcome execute_far_jump(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_far_call(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_far_return(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_iret(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
