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

/// A page that decoded bytes came from, and the generation that they are valid under.
struct CodeSource {
    std::uint32_t page = 0; ///< guest page number
    std::uint32_t generation = 0;
};

/// Its ops follow it in the arena; one that crosses into a second page has the second CodeSource behind them.
struct alignas(32) Block {
    static constexpr std::size_t kMaxOps = 64;

    const std::byte* host = nullptr; ///< of the first byte: the key, together with mode
    Block* chain = nullptr;          ///< the next in the same bucket of the cache
    CodeSource source;
    std::uint16_t op_count = 0;
    std::uint16_t length_bytes = 0;
    std::uint8_t mode = 0;
    bool crosses = false; ///< a lone instruction that lies on two pages

    [[nodiscard]] Op* ops() { return reinterpret_cast<Op*>(this + 1); }
    [[nodiscard]] CodeSource& second_source() { return *reinterpret_cast<CodeSource*>(ops() + op_count); }
    [[nodiscard]] bool is_from(std::uint64_t page) {
        return source.page == page || (crosses && second_source().page == page);
    }
};
static_assert(sizeof(Block) == 32 && alignof(Op) <= alignof(Block) && alignof(CodeSource) <= alignof(Op));

} // namespace touka::cpu::interpreter
