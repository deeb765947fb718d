// Where jumps whose target is not known beforehand find translated code: returns, indirect and far-off jumps.
#pragma once

#include <cstdint>

#include "cpu/translator/frame.hpp"

namespace touka::cpu::translator {

/// A key is the target's linear address, its upper 16 bits XORed with the generation of the address space (of the
/// kernel's mappings, for supervisor code). Canonical addresses of the two halves differ in bit 47, so that generations
/// of user and supervisor code may be equal. Generation 0 is never in use: empty slots match nothing.
[[nodiscard]] constexpr std::uint64_t jump_generation(std::uint16_t generation) {
    return std::uint64_t{generation} << 48;
}

[[nodiscard]] constexpr std::size_t jump_slot(std::uint64_t rip) { return rip % kJumpCacheEntries; }
/// Who has to leave his slot moves there: two that share one find each other in the way at every turn. Neighbours do
/// not share: several are jumped to at the end of a page.
inline constexpr std::size_t kSecondJumpSlot = 0x5A5A;
[[nodiscard]] constexpr std::size_t second_jump_slot(std::size_t slot) { return slot ^ kSecondJumpSlot; }

inline void remember_jump(Frame& frame, std::uint64_t rip, const void* code) {
    const std::size_t slot = jump_slot(rip);
    const std::uint64_t key = rip ^ frame.jump_generation;
    if (frame.jumps[slot].key != key) frame.jumps[second_jump_slot(slot)] = frame.jumps[slot];
    frame.jumps[slot] = {key, code};
}

/// @return where `rip` is translated, or nullptr.
[[nodiscard]] inline const void* recall_jump(const Frame& frame, std::uint64_t rip) {
    const std::uint64_t key = rip ^ frame.jump_generation;
    const JumpSlot &first = frame.jumps[jump_slot(rip)], &second = frame.jumps[second_jump_slot(jump_slot(rip))];
    if (first.key == key) return first.code;
    return second.key == key ? second.code : nullptr;
}

/// Forgets jumps to `code`, whatever page it is mapped at: the low bits of all its addresses are `page_offset`.
inline void forget_jump(Frame& frame, std::uint16_t page_offset, const void* code) {
    for (std::size_t first = page_offset; first < kJumpCacheEntries; first += spec::kPageSize)
        for (const std::size_t slot : {first, second_jump_slot(first)})
            if (frame.jumps[slot].code == code) frame.jumps[slot] = {};
}

inline void clear_jumps(Frame& frame) { frame.jumps.fill({}); }

} // namespace touka::cpu::translator
