// A stack that a control transfer pushes a frame to, or pops one from, before it is known whether all goes well.
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// Moves a pointer through a stack segment without changing RSP or SS: the caller commits both at the end.
class StackCursor {
public:
    /// The running stack.
    explicit StackCursor(Processor& p);
    /// The stack of another privilege, to be switched to: its accesses are the supervisor's for cpl < 3, and a
    /// frame that does not fit is #SS with the selector.
    /// @param is_64bit the code that will run on it is 64-bit code.
    StackCursor(Processor& p, const SegmentState& ss, std::uint64_t pointer, std::uint8_t cpl, bool is_64bit);

    /// @param width_bytes 2, 4 or 8. @return false with Processor::fault set (#SS, #PF).
    [[nodiscard]] bool push(std::uint64_t value, unsigned width_bytes);
    [[nodiscard]] bool pop(std::uint64_t& value, unsigned width_bytes);
    /// Moves the pointer over bytes without touching them: immediate of RET, parameters.
    void skip(std::uint64_t bytes) { pointer_ += bytes; }

    [[nodiscard]] std::uint64_t pointer() const { return pointer_; }
    /// Makes the pointer the running one. SS must be set before.
    void commit() const;

private:
    [[nodiscard]] bool locate(std::uint64_t offset, unsigned width_bytes, std::uint64_t& linear) const;

    Processor& p_;
    SegmentState ss_;
    std::uint64_t pointer_;
    std::uint64_t mask_;
    std::uint32_t error_code_ = 0;
    bool is_64bit_;
    bool as_supervisor_ = false;
};

/// Privileges of the stack that TSS.SSn:SPn names, or RSPn in long mode (SS becomes null there).
struct InnerStack {
    SegmentState ss;
    std::uint64_t pointer = 0;
};
/// Reads the stack for a transfer to `cpl` < 3 from the TSS.
/// @param interrupt_stack 1-7: take ISTn of a 64-bit TSS instead; 0: none.
/// @return false with Processor::fault set: #TS, #SS, #PF, #NP.
[[nodiscard]] bool read_inner_stack(Processor& p, std::uint8_t cpl, std::uint8_t interrupt_stack, InnerStack& out);

} // namespace touka::cpu::interpreter
