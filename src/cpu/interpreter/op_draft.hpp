// From a decoded instruction to its Op: what the builders of all opcode groups share.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/op.hpp"

namespace touka::cpu::interpreter {

/// One instruction being turned into an Op. `op` has offset and length set, and all else zero.
struct Draft {
    const Instruction& instruction;
    CodeSize code_size;
    std::uint64_t page_offset; ///< of the block's first byte in its page
    Op& op;
    bool ends_block = false; ///< set by the builder: control never goes on to the next op

    [[nodiscard]] const ZydisDecodedOperand& operand(std::size_t index) const { return instruction.operands[index]; }
    [[nodiscard]] bool is_register(std::size_t index) const {
        return operand(index).type == ZYDIS_OPERAND_TYPE_REGISTER;
    }
    [[nodiscard]] bool is_memory(std::size_t index) const { return operand(index).type == ZYDIS_OPERAND_TYPE_MEMORY; }
    [[nodiscard]] bool is_immediate(std::size_t index) const {
        return operand(index).type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
    }
    [[nodiscard]] bool has_lock() const { return (instruction.info.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0; }
    [[nodiscard]] unsigned width_bits() const { return instruction.info.operand_width; }
    [[nodiscard]] bool is_64bit() const { return code_size == CodeSize::k64; }
};

/// Completes the op of one mnemonic. @return false when this form is not the group's: others are asked.
using Builder = bool (*)(Draft&);
using BuilderTable = std::array<Builder, ZYDIS_MNEMONIC_MAX_VALUE + 1>;

/// Offset of a general register in RegisterFile, AH to BH included; kNoRegister for all other registers.
inline constexpr std::uint8_t kNoRegister = 0xFF;
[[nodiscard]] std::uint8_t register_offset(ZydisRegister name);
[[nodiscard]] SegmentName segment_name(ZydisRegister name);

/// Puts the address of memory operand `index` into the op.
void set_memory(Draft& draft, std::size_t index);

/// Which kinds of operands an instruction has, in order.
enum class Form : std::uint8_t {
    kOther,
    kRegister,
    kMemory,
    kRegisterRegister,
    kRegisterImmediate,
    kRegisterMemory,
    kMemoryRegister,
    kMemoryImmediate,
};
/// Puts the first one or two operands into the op (reg is the first register, reg2 the second) and names their form.
/// kOther, with the op untouched as far as it counts, for other kinds and for registers that are not general ones.
[[nodiscard]] Form set_operands(Draft& draft);

/// Calls choose.operator()<T>() with the unsigned integer of that many bits.
[[nodiscard]] Handler by_width(unsigned width_bits, auto choose) {
    switch (width_bits) {
        case 8: return choose.template operator()<std::uint8_t>();
        case 16: return choose.template operator()<std::uint16_t>();
        case 32: return choose.template operator()<std::uint32_t>();
        default: return choose.template operator()<std::uint64_t>();
    }
}

template <std::unsigned_integral T>
[[nodiscard, gnu::always_inline]] inline T immediate(const Op* op) {
    return static_cast<T>(static_cast<std::int64_t>(op->immediate));
}

/// For instructions without operands.
template <Handler handler>
bool build_plain(Draft& draft) {
    draft.op.handler = handler;
    return true;
}

// One function for each opcode group, in the file of that name: enters its builders.
void add_arithmetic(BuilderTable& table);
void add_logic(BuilderTable& table);
void add_shift_rotate(BuilderTable& table);
void add_multiply_divide(BuilderTable& table);
void add_bit(BuilderTable& table);
void add_move(BuilderTable& table);
void add_extend(BuilderTable& table);
void add_conditional(BuilderTable& table);
void add_stack(BuilderTable& table);
void add_branch(BuilderTable& table);
void add_exchange(BuilderTable& table);
void add_flag_control(BuilderTable& table);
void add_decimal(BuilderTable& table);
void add_string(BuilderTable& table);
void add_input_output(BuilderTable& table);
void add_hint(BuilderTable& table);
void add_counter(BuilderTable& table);

} // namespace touka::cpu::interpreter
