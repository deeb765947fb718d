// From a form to one instruction with operands: registers, memory and where each memory operand lies.
#pragma once

#include <optional>

#include "instructions/form.hpp"
#include "instructions/machine_state.hpp"
#include "instructions/random.hpp"

namespace touka::tests::instructions {

/// Where a memory operand is put.
enum class Placement : std::uint8_t {
    kAligned,
    kAnywhere,
    kAcrossPages,          ///< on two writable pages
    kUnmapped,             ///< page fault
    kReadOnly,             ///< page fault for writes
    kIntoNothing,          ///< begins on a writable page, ends on none
    kIntoReadOnly,         ///< begins on a writable page, ends on a read-only one
    kOutOfTheAddressSpace, ///< not canonical; 64-bit code only
};
[[nodiscard]] const char* name_of(Placement placement);

/// How many operands of the form access memory, hidden ones included.
[[nodiscard]] std::size_t memory_operand_count(const Form& form);

/// @param memory what the pages hold before.
/// @param special the operand (counted among those that access memory) that gets `placement`; others are harmless.
/// @return nothing when the form cannot be put into such a case.
[[nodiscard]] std::optional<Case> make_case(const Form& form, const Memory& memory, std::size_t special,
                                            Placement placement, Random& random);

} // namespace touka::tests::instructions
