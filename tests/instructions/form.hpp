// Instruction forms: what is enumerated from the opcode space by decoding all of it.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace touka::tests::instructions {

/// The decoder's view of some bytes.
struct Decoded {
    ZydisDecodedInstruction info;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
};
[[nodiscard]] bool decode(bool compat, const std::vector<std::uint8_t>& bytes, Decoded& decoded);

/// The fixed part of an encoding; registers, addresses and immediates are chosen by encode().
struct Encoding {
    bool compat = false;
    bool lock = false;
    std::uint8_t repeat = 0;   ///< F2h, F3h, or 0: also where it is part of the opcode
    bool operand_size = false; ///< 66h
    bool wide = false;         ///< REX.W, VEX.W or EVEX.W
    bool vex = false;
    bool vex_long = false;   ///< VEX.L
    std::uint8_t vex_pp = 0; ///< VEX.pp or EVEX.pp
    bool evex = false;
    std::uint8_t evex_length = 0; ///< EVEX.L'L
    bool evex_b = false;          ///< EVEX.b: broadcast, rounding, or exceptions suppressed
    [[nodiscard]] bool may_have_vector_index() const { return vex || evex; }
    std::uint8_t map = 0; ///< 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
    std::uint8_t opcode = 0;
    bool has_modrm = false;
    bool memory = false;    ///< ModRM names memory
    std::uint8_t modrm = 0; ///< an example; its register fields may be changed as long as the form stays
};

/// A mnemonic with its opcode, operand kinds and widths. Two encodings with one key are one form.
struct Form {
    Encoding encoding;
    std::string key;
};

/// The key of a decoded instruction.
[[nodiscard]] std::string form_key(const Decoded& decoded);
/// All forms that can be compared at CPL 3 on this host: those of Touka's interpreter, less what changes the
/// executor's own ground (segment registers, system calls, FS and GS bases) or is not a function of its operands
/// (time stamp, random numbers, CPUID). Ordered by key.
[[nodiscard]] std::vector<Form> enumerate_forms();

} // namespace touka::tests::instructions
