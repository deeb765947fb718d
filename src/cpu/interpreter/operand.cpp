// Operands of instructions that are executed from their description.
#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/segment_access.hpp"

namespace touka::cpu::interpreter {
namespace {

[[nodiscard]] std::uint64_t register_value(const Processor& p, ZydisRegister name) {
    return name == ZYDIS_REGISTER_NONE ? 0 : get<std::uint64_t>(p, register_offset(name));
}

[[nodiscard]] std::uint8_t access_of(const ZydisDecodedOperand& operand) {
    return operand.mem.segment == ZYDIS_REGISTER_SS ? access::kStack : std::uint8_t{0};
}

template <class T>
bool read_memory(Processor& p, std::uint64_t linear, std::uint8_t how, std::uint64_t& value) {
    const auto loaded = load<T>(p, linear, how);
    value = loaded.value;
    return loaded.ok;
}

} // namespace

bool operand_address(Processor& p, const Instruction& i, std::size_t index, std::uint64_t length_bytes, bool write,
                     std::uint64_t& linear) {
    const ZydisDecodedOperandMem& memory = i.operands[index].mem;
    std::uint64_t offset = memory.disp.has_displacement ? static_cast<std::uint64_t>(memory.disp.value) : 0;
    if (memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP) {
        offset += p.next_rip;
    } else {
        offset += register_value(p, memory.base);
    }
    offset += register_value(p, memory.index) * memory.scale;
    if (i.info.address_width == 32) offset &= 0xFFFF'FFFF;
    if (i.info.address_width == 16) offset &= 0xFFFF;
    return segment_address(p, segment_name(memory.segment), offset, length_bytes, write, linear);
}

bool read_operand(Processor& p, const Instruction& i, std::size_t index, std::uint64_t& value) {
    const ZydisDecodedOperand& operand = i.operands[index];
    if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        value = operand.imm.value.u;
        return true;
    }
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        const std::uint64_t whole = register_value(p, operand.reg.value);
        value = operand.size == 64 ? whole : whole & ((std::uint64_t{1} << operand.size) - 1);
        return true;
    }
    std::uint64_t linear = 0;
    if (!operand_address(p, i, index, operand.size / 8, false, linear)) return false;
    const std::uint8_t how = access_of(operand);
    switch (operand.size) {
        case 8: return read_memory<std::uint8_t>(p, linear, how, value);
        case 16: return read_memory<std::uint16_t>(p, linear, how, value);
        case 32: return read_memory<std::uint32_t>(p, linear, how, value);
        default: return read_memory<std::uint64_t>(p, linear, how, value);
    }
}

bool write_operand(Processor& p, const Instruction& i, std::size_t index, std::uint64_t value) {
    const ZydisDecodedOperand& operand = i.operands[index];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
        const std::uint8_t offset = register_offset(operand.reg.value);
        switch (operand.size) {
            case 8: set(p, offset, static_cast<std::uint8_t>(value)); break;
            case 16: set(p, offset, static_cast<std::uint16_t>(value)); break;
            case 32: set(p, offset, static_cast<std::uint32_t>(value)); break;
            default: set(p, offset, value); break;
        }
        return true;
    }
    std::uint64_t linear = 0;
    if (!operand_address(p, i, index, operand.size / 8, true, linear)) return false;
    const std::uint8_t how = access_of(operand);
    switch (operand.size) {
        case 8: return store(p, linear, static_cast<std::uint8_t>(value), how);
        case 16: return store(p, linear, static_cast<std::uint16_t>(value), how);
        case 32: return store(p, linear, static_cast<std::uint32_t>(value), how);
        default: return store(p, linear, value, how);
    }
}

} // namespace touka::cpu::interpreter
