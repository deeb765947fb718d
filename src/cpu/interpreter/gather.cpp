#include "cpu/interpreter/gather.hpp"

#include <algorithm>
#include <array>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/operand_block.hpp"
#include "cpu/interpreter/vector_element.hpp"

namespace touka::cpu::interpreter {
namespace {

using Vector = std::array<std::uint8_t, 32>;

struct GatherShape {
    std::size_t element_bytes = 4;
    std::size_t index_bytes = 4;
};

GatherShape shape_of(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_VPGATHERDQ:
        case ZYDIS_MNEMONIC_VGATHERDPD: return {8, 4};
        case ZYDIS_MNEMONIC_VPGATHERQD:
        case ZYDIS_MNEMONIC_VGATHERQPS: return {4, 8};
        case ZYDIS_MNEMONIC_VPGATHERQQ:
        case ZYDIS_MNEMONIC_VGATHERQPD: return {8, 8};
        default: return {4, 4};
    }
}

std::uint64_t base_value(const Processor& p, ZydisRegister reg) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    const auto id = ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
    return p.regs.gpr[static_cast<std::size_t>(id) & 15];
}

/// The instruction with its memory operand replaced by a plain one at `offset`, for operand_address.
Instruction with_plain_operand(const Instruction& i) {
    Instruction plain = i;
    auto& operand = plain.operands[1];
    operand.mem.type = ZYDIS_MEMOP_TYPE_MEM;
    operand.mem.base = ZYDIS_REGISTER_NONE;
    operand.mem.index = ZYDIS_REGISTER_NONE;
    operand.mem.disp.has_displacement = true;
    return plain;
}

} // namespace

Outcome execute_gather(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kAvx)) return Outcome::kFault;
    // Operands: destination, memory with a vector of indices, mask.
    const auto& memory = i.operands[1].mem;
    const GatherShape shape = shape_of(i.info.mnemonic);
    Vector& destination = vector_operand(p, i, 0);
    Vector& mask = vector_operand(p, i, 2);
    const Vector indices = p.regs.vector[static_cast<std::size_t>(ZydisRegisterGetId(memory.index)) & 15];
    const std::size_t vector_bytes = i.info.avx.vector_length == 256 ? 32 : 16;
    const std::size_t count = vector_bytes / std::max(shape.element_bytes, shape.index_bytes);

    const std::uint8_t access = stack_access(i, 1);
    Instruction plain = with_plain_operand(i);
    for (std::size_t n = 0; n < count; ++n) {
        if (!is_chosen(mask, n, shape.element_bytes)) {
            set_element(mask, n, shape.element_bytes, 0);
            continue;
        }
        const std::uint64_t raw = get_element(indices, n, shape.index_bytes);
        const std::uint64_t index =
            shape.index_bytes == 4 ? static_cast<std::uint64_t>(static_cast<std::int32_t>(raw)) : raw;
        const std::uint64_t offset = base_value(p, memory.base) + index * std::max<std::uint8_t>(memory.scale, 1) +
                                     static_cast<std::uint64_t>(memory.disp.value);
        plain.operands[1].mem.disp.value = static_cast<std::int64_t>(offset);
        std::uint64_t linear = 0, value = 0;
        if (!operand_address(p, plain, 1, shape.element_bytes, false, linear) ||
            !load_element(p, linear, shape.element_bytes, access, value)) {
            return Outcome::kFault;
        }
        set_element(destination, n, shape.element_bytes, value);
        set_element(mask, n, shape.element_bytes, 0);
    }
    mask.fill(0);
    const std::size_t result_bytes = count * shape.element_bytes;
    std::fill(destination.begin() + static_cast<std::ptrdiff_t>(result_bytes), destination.end(), std::uint8_t{0});
    return Outcome::kNext;
}

} // namespace touka::cpu::interpreter
