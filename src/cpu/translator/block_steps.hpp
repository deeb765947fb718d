// What a translated block was made from, decoded once more.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/translator/guest_block.hpp"
#include "cpu/translator/translation.hpp"
#include "cpu/translator/verified_state.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu::translator {

/// @pre the code that `t` was made from is still there.
void decode_again(const memory::GuestMemory& memory, const Translation& t, GuestBlock& block);

/// The instructions of a block, as far as it matters who executes them.
struct BlockSteps {
    struct Step {
        std::uint16_t offset = 0, next_offset = 0; ///< from the start of the page
        /// Translated code does it itself, and what it does is a function of the guest's state.
        bool is_own = false;
    };
    std::vector<Step> steps;
    RegisterParts parts;

    explicit BlockSteps(const GuestBlock& block);
};

} // namespace touka::cpu::translator
