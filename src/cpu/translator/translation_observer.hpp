// Whoever wants to see blocks as they are translated.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cpu/translator/block_outline.hpp"
#include "cpu/translator/thunks.hpp"
#include "cpu/translator/translation.hpp"

namespace touka::cpu::translator {

/// A block in both forms, for as long as a call takes.
struct TranslatedBlock {
    std::uint64_t rip; ///< the linear address that it was translated at; it may be mapped elsewhere as well
    const GuestBlock& guest;
    const Translation& host;
    const BlockOutline& outline;
    const FrameOffsets& offsets;
    const Thunks& thunks;
    std::span<const Link> links; ///< of all blocks: the code names them by their numbers
};

class TranslationObserver {
public:
    virtual ~TranslationObserver() = default;
    /// @thread those of all vCPUs, at the same time.
    virtual void translated(const TranslatedBlock& block) = 0;
};

using TranslationObservers = std::vector<std::unique_ptr<TranslationObserver>>;

} // namespace touka::cpu::translator
