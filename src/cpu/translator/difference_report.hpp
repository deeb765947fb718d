// A difference between translated code and the interpreter, for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cpu/interpreter/rehearsal.hpp"
#include "cpu/translator/translation.hpp"
#include "cpu/translator/verified_state.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::translator {

struct DifferenceReport {
    const memory::GuestMemory& memory;
    const Translation& translation;
    std::string what; ///< one line
    RegisterParts parts;
    const VerifiedState& before;
    const VerifiedState& interpreted;
    const VerifiedState& translated;
    std::optional<interpreter::Rehearsal::Difference> stored;

    /// Guest code, host code, both states with what differs marked by an asterisk; in full lines.
    [[nodiscard]] std::string text() const;
};

} // namespace touka::cpu::translator
