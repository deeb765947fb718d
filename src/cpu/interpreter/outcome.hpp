// How ExecuteFunctions end.
#pragma once

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

[[nodiscard]] inline Outcome fault(Processor& p, Exception exception, std::uint32_t error_code = 0) {
    p.raise(exception, error_code);
    return Outcome::kFault;
}

/// After functions that say false with Processor::fault set.
[[nodiscard]] inline Outcome done(bool ok) { return ok ? Outcome::kNext : Outcome::kFault; }

/// The instruction is done and has changed what code, addresses or interrupts mean: the loop looks at all anew.
[[nodiscard]] inline Outcome done_anew(Processor& p) {
    p.rip = p.next_rip;
    p.attention = true;
    return Outcome::kJumped;
}
[[nodiscard]] inline Outcome done_anew(Processor& p, bool ok) { return ok ? done_anew(p) : Outcome::kFault; }

/// CPL 0, or #GP(0).
[[nodiscard]] inline bool require_privilege(Processor& p) {
    return p.cpl == 0 || p.raise(Exception::kGeneralProtection);
}

} // namespace touka::cpu::interpreter
