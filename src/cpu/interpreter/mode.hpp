// What CS, CR0, CR4 and EFER together mean for execution, kept in Processor so that nobody derives it twice.
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// Sets code_size, cpl, long_mode and protected_mode from CS, SS, CR0 and EFER. To be called after each change of
/// these. The current privilege is the DPL of SS, which every load of SS keeps true, null selectors included.
void update_mode(Processor& p);

/// Running 64-bit code: segmentation is all but off, addresses have 64 bits.
[[nodiscard]] inline bool in_64bit_code(const Processor& p) { return p.code_size == CodeSize::k64; }

/// Bits 63:47 are all equal: 48-bit linear addresses. (APM vol. 2 §1.1.3)
[[nodiscard]] constexpr bool is_canonical(std::uint64_t linear) {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(linear << 16) >> 16) == linear;
}
static_assert(is_canonical(0xFFFF'8000'0000'0000) && !is_canonical(0x8000'0000'0000));

/// The part of RSP that pushes and pops use: all of it, 32 or 16 bits by SS.B.
[[nodiscard]] std::uint64_t stack_pointer_mask(const Processor& p);
/// Sets RSP, ESP (zero-extended) or SP (the rest kept), as `mask` says.
void set_stack_pointer(Processor& p, std::uint64_t value, std::uint64_t mask);

/// RFLAGS bits that POPF and IRET change at the running privilege, for an operand of `width_bytes`.
/// (APM vol. 3, POPF and IRET)
[[nodiscard]] std::uint64_t writable_flags(const Processor& p, unsigned width_bytes);

} // namespace touka::cpu::interpreter
