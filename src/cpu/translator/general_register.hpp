// What Zydis' register names say about general registers.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace touka::cpu::translator {

inline constexpr std::uint8_t kNoRegister = 0xFF;

[[nodiscard]] inline bool is_high_byte(ZydisRegister reg) {
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

/// 0 to 15 as in ModRM and REX, whatever part of the register it is; kNoRegister for all that is no general register.
[[nodiscard]] inline std::uint8_t general_number(ZydisRegister reg) {
    const auto whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (ZydisRegisterGetClass(whole) != ZYDIS_REGCLASS_GPR64) return kNoRegister;
    return static_cast<std::uint8_t>(ZydisRegisterGetId(whole));
}

/// Of a register operand; kNoRegister for other operands.
[[nodiscard]] inline std::uint8_t general_number(const ZydisDecodedOperand& o) {
    return o.type == ZYDIS_OPERAND_TYPE_REGISTER ? general_number(o.reg.value) : kNoRegister;
}

} // namespace touka::cpu::translator
