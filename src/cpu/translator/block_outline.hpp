// Where the parts of a block's host code begin.
#pragma once

#include <array>
#include <cstdint>

#include "cpu/translator/guest_block.hpp"

namespace touka::cpu::translator {

/// Offsets in bytes from Translation::code.
struct BlockOutline {
    /// Of each guest instruction; behind the last one, of what leads out of a block that ends open.
    std::array<std::uint32_t, GuestBlock::kMaxInstructions + 1> instructions{};
    std::int64_t stubs = 0; ///< of what runs rarely, which lies elsewhere
    std::uint32_t stub_bytes = 0;
};

} // namespace touka::cpu::translator
