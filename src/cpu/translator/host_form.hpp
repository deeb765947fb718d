// A guest instruction with other registers and another memory operand, as bytes for the host.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/translator/register_map.hpp"

namespace touka::cpu::translator {

/// What takes the place of the guest's operands. Vector registers stay what they are.
struct HostForm {
    static constexpr HostRegister kKept = 0xFE;

    HostRegister reg = kKept;  ///< of ModRM.reg
    HostRegister rm = kKept;   ///< of ModRM.rm, or the one in the opcode
    HostRegister vvvv = kKept; ///< of VEX.vvvv
    bool memory = false;       ///< ModRM.rm is [base + displacement]
    HostRegister base = 0;
    std::int32_t displacement = 0;
    void point_to(HostRegister to, std::int32_t distance) {
        memory = true;
        base = to;
        displacement = distance;
    }
    bool has_bytes = false; ///< 8-bit general registers: SPL to DIL need a REX prefix
};

struct HostBytes {
    std::array<std::uint8_t, 24> bytes;
    std::size_t count = 0;
    void add(unsigned value) { bytes[count++] = static_cast<std::uint8_t>(value); }
    [[nodiscard]] std::span<const std::uint8_t> span() const { return std::span(bytes).first(count); }
};

/// @pre legacy, VEX or EVEX encoding; the forms with the accumulator in the opcode are given ModRM.
[[nodiscard]] HostBytes host_bytes(const interpreter::Instruction& instruction, const HostForm& form);

} // namespace touka::cpu::translator
