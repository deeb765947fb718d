// Instructions that were decoded lately, found by their bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cpu/translator/guest_instruction.hpp"

namespace touka::cpu::translator {

/// Programs consist of few different instructions, and blocks overlap: decoding one again takes ten times as long as
/// finding it here. What depends on where an instruction lies is not kept: see GuestInstruction::target and kRip.
/// One thread.
class InstructionMemo {
public:
    InstructionMemo() : entries_(std::make_unique<GuestInstruction[]>(kEntries)) {}

    /// @param bytes from the instruction on. @return nullptr: not known; else valid until the next call of remember().
    [[nodiscard]] const GuestInstruction* find(std::span<const std::uint8_t> bytes, bool supervisor) const;
    /// @pre decoded.info.length is not 0.
    void remember(const GuestInstruction& i, bool supervisor);

private:
    static constexpr std::size_t kEntries = 2048;
    /// Longer instructions are found by as many bytes.
    static constexpr std::size_t kMostHashed = 4;

    /// What is looked at before an entry is, which is big.
    struct Tag {
        std::array<std::uint8_t, kMostHashed> start{};
        std::uint8_t length_bytes = 0; ///< 0: none
        bool supervisor = false;
    };
    /// The first bytes of an instruction, as a number; those behind `count` are 0.
    [[nodiscard]] static std::uint32_t word(std::span<const std::uint8_t> bytes, std::size_t count);
    [[nodiscard]] static std::size_t slot(std::uint32_t word, std::size_t count, bool supervisor);

    std::array<Tag, kEntries> tags_{};
    std::unique_ptr<GuestInstruction[]> entries_;
};

} // namespace touka::cpu::translator
