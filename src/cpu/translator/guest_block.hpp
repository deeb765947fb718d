// A run of guest instructions to be translated as one, and what is known of it beforehand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/translator/guest_instruction.hpp"
#include "cpu/translator/instruction_memo.hpp"

namespace touka::cpu::translator {

/// Accesses through the same registers, whose addresses are known to differ by constants only: one check serves all.
struct AccessGroup {
    std::int32_t low = 0, high = 0; ///< bytes [low, high) from the sum of its registers when the group began
    std::uint8_t access_count = 0;
    bool writes = false; ///< one of them at least
};

/// Instructions follow each other; jumps that may not be taken lead out on the side. All lie on one page.
struct GuestBlock {
    static constexpr std::size_t kMaxInstructions = 64;
    static constexpr std::size_t kMaxGroups = 64;
    /// Accesses farther apart are checked apart.
    static constexpr std::int32_t kMaxGroupBytes = 512;

    std::array<GuestInstruction, kMaxInstructions> instructions;
    std::size_t count = 0;
    std::array<AccessGroup, kMaxGroups> groups;
    std::size_t group_count = 0;
    bool uses_vectors = false, uses_avx = false, uses_avx512 = false; ///< each implies those before it
    bool crosses = false;        ///< one instruction, that goes on in the next page
    bool meets_crossing = false; ///< what follows is such an instruction: found by its linear address
    bool ends_open = false;      ///< control goes on behind the last instruction
    bool ends_polled = false;    ///< and requests are to be looked at there

    [[nodiscard]] std::uint16_t end_offset() const { return instructions[count - 1].next_offset(); }
};

enum class DecodeResult {
    kDone,
    kNeedsNextPage, ///< the first instruction goes on behind `bytes`
};

/// Decodes from `offset` of a page of 64-bit code until control leaves, an instruction that is not translated (which is
/// the last one then, of Kind::kInterpreted), the end of the page, or kMaxInstructions. What cannot be decoded is
/// kInterpreted.
/// @param bytes of the whole page, a copy; behind them those of the next page, if the first instruction needs them.
/// @param grouped look for groups of accesses. @param memo nullptr: none.
[[nodiscard]] DecodeResult decode_guest_block(std::span<const std::uint8_t> bytes, std::uint16_t offset,
                                              bool supervisor, bool grouped, GuestBlock& block,
                                              InstructionMemo* memo = nullptr);

} // namespace touka::cpu::translator
