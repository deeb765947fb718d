#include "cpu/interpreter/block_decoder.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/described_op.hpp"

namespace touka::cpu::interpreter {
namespace {

const BuilderTable& builders() {
    static const BuilderTable table = [] {
        BuilderTable made{};
        for (const auto add :
             {&add_arithmetic, &add_logic, &add_shift_rotate, &add_multiply_divide, &add_bit, &add_move, &add_extend,
              &add_conditional, &add_stack, &add_branch, &add_exchange, &add_flag_control, &add_decimal, &add_string,
              &add_input_output, &add_hint, &add_counter}) {
            add(made);
        }
        return made;
    }();
    return table;
}

ZydisDecoder make_decoder(ZydisMachineMode machine, ZydisStackWidth stack) {
    ZydisDecoder decoder{};
    ZydisDecoderInit(&decoder, machine, stack);
    // CPUID shows no MPX: BNDMK and its like are the NOPs that they are on other processors.
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    return decoder;
}

const ZydisDecoder& decoder_for(std::uint8_t mode) {
    static const ZydisDecoder real16 = make_decoder(ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16);
    static const ZydisDecoder legacy16 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    static const ZydisDecoder legacy32 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    static const ZydisDecoder compat16 = make_decoder(ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16);
    static const ZydisDecoder compat32 = make_decoder(ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
    static const ZydisDecoder long64 = make_decoder(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    const bool in_long_mode = (mode & block_mode::kLongMode) != 0;
    switch (static_cast<CodeSize>(mode & block_mode::kCodeSizeMask)) {
        case CodeSize::k64: return long64;
        case CodeSize::k32: return in_long_mode ? compat32 : legacy32;
        default: break;
    }
    if (in_long_mode) return compat16;
    return (mode & block_mode::kProtected) != 0 ? legacy16 : real16;
}

/// Decodes the instruction at the start of `bytes`.
ZyanStatus decode(const ZydisDecoder& decoder, std::span<const std::uint8_t> bytes, Instruction& instruction) {
    const std::size_t length = std::min<std::size_t>(bytes.size(), ZYDIS_MAX_INSTRUCTION_LENGTH);
    const ZyanStatus status =
        ZydisDecoderDecodeFull(&decoder, bytes.data(), length, &instruction.info, instruction.operands.data());
    if (ZYAN_SUCCESS(status)) {
        instruction.bytes = {};
        std::copy_n(bytes.begin(), std::min<std::size_t>(instruction.info.length, instruction.bytes.size()),
                    instruction.bytes.begin());
    }
    return status;
}

/// Makes the op of one decoded instruction, or the two of a native one. @return false without memory.
bool append(BlockCache& cache, Draft& draft, DecodedBlock& block) {
    const Builder builder = builders()[draft.instruction.info.mnemonic];
    const HostInstruction* native = nullptr;
    if (builder == nullptr || !builder(draft)) {
        // A builder that refused may have left operands behind.
        const std::uint16_t offset = draft.op.offset;
        const std::uint8_t length = draft.op.length_bytes;
        draft.op = {};
        draft.op.offset = offset;
        draft.op.length_bytes = length;
        draft.ends_block = false;
        if (!complete_described(draft, cache, native)) return false;
    }
    ++block.op_count;
    if (native == nullptr) return true;
    Op& operand = block.ops[block.op_count++];
    operand = native_operand(native);
    operand.offset = draft.op.offset;
    return true;
}

} // namespace

std::uint8_t current_block_mode(const Processor& p) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(p.code_size) |
                                     (p.protected_mode ? block_mode::kProtected : 0u) |
                                     (p.long_mode ? block_mode::kLongMode : 0u));
}

DecodeResult decode_block(BlockCache& cache, std::uint8_t mode, std::uint64_t page_offset,
                          std::span<const std::uint8_t> bytes, DecodedBlock& block) {
    const auto code_size = static_cast<CodeSize>(mode & block_mode::kCodeSizeMask);
    const std::size_t max_instructions = (mode & block_mode::kSingle) != 0 ? 1 : Block::kMaxOps;
    const ZydisDecoder& decoder = decoder_for(mode);
    block.op_count = 0;
    block.length_bytes = 0;
    Instruction instruction;
    bool ended = false;
    for (std::size_t count = 0; count < max_instructions && !ended; ++count) {
        const auto rest = bytes.subspan(block.length_bytes);
        const ZyanStatus status = decode(decoder, rest, instruction);
        if (status == ZYDIS_STATUS_NO_MORE_DATA && rest.size() < ZYDIS_MAX_INSTRUCTION_LENGTH) {
            if (count == 0) return DecodeResult::kMoreBytesNeeded;
            break;
        }
        Op& op = block.ops[block.op_count];
        op = {};
        op.offset = block.length_bytes;
        if (!ZYAN_SUCCESS(status)) {
            const bool too_long = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
            op.handler = too_long ? too_long_handler() : invalid_opcode_handler();
            ++block.op_count;
            ended = true;
            break;
        }
        op.length_bytes = instruction.info.length;
        Draft draft{instruction, code_size, page_offset, op};
        if (!append(cache, draft, block)) return DecodeResult::kNoMemory;
        block.length_bytes = static_cast<std::uint16_t>(block.length_bytes + instruction.info.length);
        ended = draft.ends_block;
    }
    if (!ended) {
        Op& op = block.ops[block.op_count++];
        op = {};
        op.handler = fall_through_handler();
        op.offset = block.length_bytes;
        const bool in_page = page_offset + block.length_bytes < spec::kPageSize;
        op.variant = in_page && code_size == CodeSize::k64 && max_instructions > 1 ? 1 : 0;
        op.link = {nullptr};
    }
    return DecodeResult::kOk;
}

} // namespace touka::cpu::interpreter
