// One guest instruction as the translator sees it, before any host code is made.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/translator/general_register.hpp"

namespace touka::cpu::translator {

using interpreter::Instruction;

/// What a linear address is the sum of.
struct EffectiveAddress {
    static constexpr std::uint8_t kNone = 0xFF, kRip = 0xFE;

    std::uint8_t base = kNone;      ///< guest register, kRip or kNone
    std::uint8_t index = kNone;     ///< guest register or kNone
    std::uint8_t scale = 1;         ///< 1, 2, 4 or 8
    bool has_base_segment = false;  ///< FS or GS
    bool is_gs = false;             ///< which
    bool has_short_address = false; ///< 32 bits
    /// BT and its like: guest register with the signed number of a bit, which lies in one of the elements of
    /// element_bytes that begin here and before; or kNone.
    std::uint8_t bit = kNone, element_bytes = 0;
    std::int32_t displacement = 0; ///< kRip: from the start of the page
};

/// A memory operand of 64-bit code, explicit or of the stack.
struct MemoryAccess : EffectiveAddress {
    std::uint8_t size_bytes = 0;
    bool reads = false, writes = false;
    std::uint8_t group = 0;        ///< GuestBlock::groups, or kNoGroup
    std::int32_t group_offset = 0; ///< of the first byte from the group's
    static constexpr std::uint8_t kNoGroup = 0xFF;
};

/// Which emitter makes the host code.
enum class Kind : std::uint8_t {
    kCopied, ///< the host's own instruction with registers and memory operand replaced
    kNothing,
    kLea,
    kPush,
    kPop,
    kLeave,
    kMultiplyDivide,
    kShiftByCl,
    kCompareExchange,
    kBitString,      ///< BT, BTS, BTR, BTC of memory, by a register
    kCompareStrings, ///< PCMPISTRI and its like
    kSignExtend,     ///< CBW to CQO
    kJump,
    kJumpIf,
    kJumpIndirect,
    kCall,
    kCallIndirect,
    kReturn,
    kUserAccess, ///< STAC, CLAC
    kPushFlags,
    kReadSelector,  ///< MOV of a segment register
    kSegmentBase,   ///< RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE
    kInterruptFlag, ///< CLI, STI
    kDirectionFlag, ///< CLD, STD
    kSwapGs,
    kReadTimeStamp, ///< RDTSC, RDTSCP
    kString,        ///< REP MOVS, REP STOS
    kCalled,        ///< the interpreter does it, and translated code goes on
    kTransferred,   ///< ends the block; the interpreter does it, and translated code goes on wherever that leads
    kInterpreted    ///< cannot be decoded: ends the block, and the interpreter raises the exception
};

/// What an instruction has to do with CF PF AF ZF SF OF.
struct FlagUse {
    bool reads = false;            ///< their values matter, or some stay
    bool reads_carry_only = false; ///< of them all, CF; the others get new values
    bool passes_on = false;        ///< reads, but only in order to leave some as they were
    bool overwrites = false;       ///< all six get new values, or undefined ones
    bool writes = false;           ///< some get new values
};

/// What the translator found out about an instruction.
struct Findings {
    Kind kind = Kind::kInterpreted;
    FlagUse flags;
    std::uint16_t offset = 0; ///< from the start of the page
    bool has_access = false;
    MemoryAccess access;
    bool has_second_access = false; ///< PUSH and CALL of a memory operand: the stack's
    MemoryAccess second_access;
    std::uint32_t target = 0; ///< direct jumps: target - start of the page, as a signed number
    bool uses_vectors = false, uses_avx = false, uses_avx512 = false, uses_x87 = false;
};

struct GuestInstruction : Findings {
    Instruction decoded;

    [[nodiscard]] std::uint16_t next_offset() const { return static_cast<std::uint16_t>(offset + decoded.info.length); }
    [[nodiscard]] const ZydisDecodedOperand& operand(std::size_t n) const { return decoded.operands[n]; }
};

/// Of the operands, those that there are: most of an instruction is room for more.
inline void copy_used(const GuestInstruction& from, GuestInstruction& to) {
    static_cast<Findings&>(to) = from;
    to.decoded.info = from.decoded.info;
    to.decoded.bytes = from.decoded.bytes;
    std::copy_n(from.decoded.operands.begin(), from.decoded.info.operand_count, to.decoded.operands.begin());
}

/// Whether `i` writes a part of either general register; numbers that are none match nothing.
[[nodiscard]] inline bool writes_either(const GuestInstruction& i, std::uint8_t one, std::uint8_t other) {
    for (std::size_t n = 0; n < i.decoded.info.operand_count; ++n) {
        const auto& o = i.operand(n);
        if ((o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
        const std::uint8_t number = general_number(o);
        if (number != kNoRegister && (number == one || number == other)) return true;
    }
    return false;
}

} // namespace touka::cpu::translator
