// How status flags that nobody kept are had again from what the registers hold afterwards.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/interpreter/register_file.hpp"
#include "cpu/translator/guest_instruction.hpp"

namespace touka::cpu::translator {

/// CMP and TEST of registers and constants can be done again; AND, OR and XOR set flags by their result alone; ADD, SUB
/// and NEG of a register can be undone and done again. What was shifted out, or came from memory, is gone.
struct FlagRecipe {
    enum class Maker : std::uint8_t { kNone, kCompare, kTest, kLogic, kAdd, kSubtract, kNegate };
    Maker maker = Maker::kNone;
    std::uint8_t width_bytes = 0;
    std::uint8_t result = kNoRegister; ///< general register
    std::uint8_t source = kNoRegister; ///< likewise; kNoRegister: the constant
    std::int32_t constant = 0;

    [[nodiscard]] explicit operator bool() const { return maker != Maker::kNone; }
    [[nodiscard]] bool operator==(const FlagRecipe&) const = default;
};

/// @return Maker::kNone where there is none.
[[nodiscard]] FlagRecipe flag_recipe(const GuestInstruction& i);

/// Whether `i` changes a register that the recipe needs.
[[nodiscard]] bool spoils(const GuestInstruction& i, const FlagRecipe& recipe);

/// @param gpr the guest's registers, with what the recipe needs as it was behind the instruction.
/// @pre recipe
[[nodiscard]] interpreter::StatusFlags follow(const FlagRecipe& recipe, const std::array<std::uint64_t, 16>& gpr);

} // namespace touka::cpu::translator
