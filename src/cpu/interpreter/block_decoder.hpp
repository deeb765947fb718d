// From bytes to ops: decodes the instructions of one block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/interpreter/block.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {

class BlockCache;

/// What the decoder has made, before it is copied into the arena.
struct DecodedBlock {
    /// Each instruction takes at most two ops; one more ends the block.
    std::array<Op, 2 * Block::kMaxOps + 1> ops;
    std::uint16_t op_count = 0;
    std::uint16_t length_bytes = 0;
};

enum class DecodeResult {
    kOk,
    kMoreBytesNeeded, ///< the first instruction goes on behind `bytes`
    kNoMemory,        ///< the arena is full
};

/// The block_mode:: byte of the running mode.
[[nodiscard]] std::uint8_t current_block_mode(const Processor& p);

/// Decodes from `bytes`, which start at `page_offset` of a page and do not leave it, until a jump, the end of `bytes`,
/// an instruction that is not wholly there, or Block::kMaxOps instructions (one, in mode kSingle).
[[nodiscard]] DecodeResult decode_block(BlockCache& cache, std::uint8_t mode, std::uint64_t page_offset,
                                        std::span<const std::uint8_t> bytes, DecodedBlock& block);

} // namespace touka::cpu::interpreter
