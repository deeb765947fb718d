// Blocks made of given bytes, for tests that look at the code and do not run it.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "cpu/interpreter/processor_fixture.hpp"
#include "cpu/translator/block_emitter.hpp"
#include "cpu/translator/translation_observer.hpp"
#include "cpu/translator/vcpu_region.hpp"

namespace touka::cpu::translator {

class BlockMaker {
public:
    /// Translates all of `code`, which lies at the start of a page, block after block, and calls
    /// function(const TranslatedBlock&) for each. Behind the last byte a block leads out as into a block that follows.
    void translate(std::span<const std::uint8_t> code, BlockMode mode, auto&& function) {
        std::array<std::uint8_t, spec::kPageSize> page;
        page.fill(kBreakpoint); // ends a block and has no operands
        std::ranges::copy(code, page.begin());
        for (std::size_t at = 0; at < code.size(); at = std::max<std::size_t>(at + 1, block_->end_offset())) {
            const auto offset = static_cast<std::uint16_t>(at);
            static_cast<void>(decode_guest_block(page, offset, mode == BlockMode::kSupervisor, true, *block_));
            if (block_->end_offset() > code.size() && block_->count > 1) {
                --block_->count;
                block_->ends_open = true;
            }
            function(emit(offset, mode));
        }
    }

private:
    static constexpr std::uint8_t kBreakpoint = 0xCC;
    static constexpr std::size_t kCodeBytes = 1 << 20;

    TranslatedBlock emit(std::uint16_t offset, BlockMode mode) {
        if (code_.free_space().size() < BlockEmitter::kMaxBytes) start_anew();
        tables_.clear();
        translation_ = {};
        translation_.offset = offset;
        translation_.mode = mode;
        emitter_->emit(*block_, translation_, tables_);
        return {offset, *block_, translation_, emitter_->outline(), offsets_, thunks_, tables_.links.span()};
    }
    void start_anew() {
        code_.clear();
        thunks_ = make_thunks(code_, offsets_, {});
        emitter_ = std::make_unique<BlockEmitter>(code_, offsets_, thunks_);
    }

    interpreter::SmallMachine machine_;
    std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)> vcpu_ =
        make_vcpu_memory(*machine_.memory, machine_.bus, machine_.port, machine_.p.cpuid);
    FrameOffsets offsets_{*vcpu_};
    interpreter::CodeMemory code_{kCodeBytes};
    Thunks thunks_ = make_thunks(code_, offsets_, {});
    std::unique_ptr<BlockEmitter> emitter_ = std::make_unique<BlockEmitter>(code_, offsets_, thunks_);
    std::unique_ptr<GuestBlock> block_ = std::make_unique<GuestBlock>();
    Translation translation_;
    SideTables tables_{vcpu_->frame.far_keys, kCodeBytes};
};

} // namespace touka::cpu::translator
