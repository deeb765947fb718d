// A run of decoded instructions with one entrance: what the interpreter looks up and executes as a whole.
#pragma once

#include <cstdint>

#include "cpu/interpreter/op.hpp"

namespace touka::cpu::interpreter {

/// The modes that decide what bytes mean, as one comparable byte.
namespace block_mode {
inline constexpr std::uint8_t kCodeSizeMask = 3, kProtected = 4, kLongMode = 8;
/// What 64-bit code runs under.
inline constexpr std::uint8_t k64Bit = static_cast<std::uint8_t>(CodeSize::k64) | kProtected | kLongMode;
/// Ends after one instruction: for single steps and shadows.
inline constexpr std::uint8_t kSingle = 16;
} // namespace block_mode

/// Its ops follow it in the arena. Valid while the generation of its page (of both, when it crosses) stands.
struct alignas(64) Block {
    static constexpr std::size_t kMaxOps = 64;
    static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};

    const std::byte* host = nullptr; ///< of the first byte: the key, together with mode
    Block* chain = nullptr;          ///< the next in the same bucket of the cache
    std::uint64_t page = 0;          ///< guest page number
    std::uint32_t generation = 0;
    std::uint32_t second_generation = 0;
    std::uint64_t second_page = kNoPage; ///< a lone instruction that crosses into this page
    std::uint16_t op_count = 0;
    std::uint16_t length_bytes = 0;
    std::uint8_t mode = 0;

    [[nodiscard]] Op* ops() { return reinterpret_cast<Op*>(this + 1); }
};
static_assert(sizeof(Block) == 64);

} // namespace touka::cpu::interpreter
