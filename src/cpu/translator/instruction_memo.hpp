// Instructions that were decoded lately, found by their bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "cpu/translator/guest_instruction.hpp"

namespace touka::cpu::translator {

/// Programs consist of few different instructions, but for their displacements and immediate operands: decoding one
/// again takes several times as long as finding it here. They are found by their head, which is all that comes before
/// these, and that tells how long what follows is. What depends on where an instruction lies is not kept: see place().
/// One thread.
class InstructionMemo {
public:
    InstructionMemo() : entries_(std::make_unique<GuestInstruction[]>(kEntries)) {}

    /// @param bytes from the instruction on.
    /// @param i becomes that instruction as decode and classify() make it, all but what place() does.
    /// @return false: not known; `i` is as it was.
    [[nodiscard]] bool recall(std::span<const std::uint8_t> bytes, bool supervisor, GuestInstruction& i) const;
    /// @pre decoded.info.length is not 0.
    void remember(const GuestInstruction& i, bool supervisor);

private:
    static constexpr std::size_t kEntries = 2048;
    /// Longer heads are found by as many bytes.
    static constexpr std::size_t kMostHashed = 4;

    /// What is looked at before an entry is, which is big.
    struct Tag {
        std::uint64_t start = 0;     ///< of the head, as start_of(): no more than the number can hold
        std::uint8_t head_bytes = 0; ///< 0: none
        bool supervisor = false;
    };
    [[nodiscard]] static std::size_t slot(std::uint64_t start, std::size_t count, bool supervisor);
    /// @return kEntries: not known.
    [[nodiscard]] std::size_t find(std::span<const std::uint8_t> bytes, bool supervisor) const;

    std::array<Tag, kEntries> tags_{};
    std::unique_ptr<GuestInstruction[]> entries_;
};

} // namespace touka::cpu::translator
