// What Zydis' register names say about general registers.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstdint>

namespace touka::cpu::translator {

inline constexpr std::uint8_t kNoRegister = 0xFF;

[[nodiscard]] inline bool is_high_byte(ZydisRegister reg) {
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

/// 0 to 15 as in ModRM and REX, whatever part of the register it is; kNoRegister for all that is no general register.
[[nodiscard]] constexpr std::uint8_t general_number(ZydisRegister reg) {
    struct Range {
        ZydisRegister first, last;
        std::uint8_t number; ///< of the first
    };
    constexpr std::array<Range, 6> kRanges{{{ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, 0},
                                            {ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, 0},
                                            {ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, 0},
                                            {ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, 0},
                                            {ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B, 4},
                                            {ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, 0}}};
    for (const Range& range : kRanges)
        if (reg >= range.first && reg <= range.last) return static_cast<std::uint8_t>(range.number + reg - range.first);
    return kNoRegister;
}
static_assert(general_number(ZYDIS_REGISTER_R9W) == 9 && general_number(ZYDIS_REGISTER_DIL) == 7 &&
              general_number(ZYDIS_REGISTER_BH) == 3 && general_number(ZYDIS_REGISTER_R15D) == 15 &&
              general_number(ZYDIS_REGISTER_XMM0) == kNoRegister);

/// Of a register operand; kNoRegister for other operands.
[[nodiscard]] inline std::uint8_t general_number(const ZydisDecodedOperand& o) {
    return o.type == ZYDIS_OPERAND_TYPE_REGISTER ? general_number(o.reg.value) : kNoRegister;
}

} // namespace touka::cpu::translator
