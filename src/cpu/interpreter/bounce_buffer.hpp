// Stand-in for a memory operand that is not one piece of RAM: it crosses a page or belongs to a device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "spec/address.hpp"

namespace touka::cpu::interpreter {

/// Holds one operand between open_operand and close_operand (memory_access.hpp).
struct BounceBuffer {
    static constexpr std::size_t kSizeBytes = 512;

    /// The part of the operand on one page.
    struct Piece {
        spec::GuestAddress physical;
        std::uint32_t length_bytes = 0;
    };

    alignas(64) std::array<std::byte, kSizeBytes> bytes{};
    std::array<Piece, 2> pieces{}; ///< the second is empty when only one page is touched
    bool locked = false;           ///< the process-wide lock for split and device operands is held
};

} // namespace touka::cpu::interpreter
