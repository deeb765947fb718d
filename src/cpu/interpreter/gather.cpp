#include "cpu/interpreter/gather.hpp"

#include <algorithm>
#include <array>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/operand_block.hpp"
#include "cpu/interpreter/vector_element.hpp"

namespace touka::cpu::interpreter {
namespace {

struct GatherShape {
    std::size_t element_bytes = 4;
    std::size_t index_bytes = 4;
};

GatherShape shape_of(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_VPGATHERDQ:
        case ZYDIS_MNEMONIC_VGATHERDPD:
        case ZYDIS_MNEMONIC_VPSCATTERDQ:
        case ZYDIS_MNEMONIC_VSCATTERDPD: return {8, 4};
        case ZYDIS_MNEMONIC_VPGATHERQD:
        case ZYDIS_MNEMONIC_VGATHERQPS:
        case ZYDIS_MNEMONIC_VPSCATTERQD:
        case ZYDIS_MNEMONIC_VSCATTERQPS: return {4, 8};
        case ZYDIS_MNEMONIC_VPGATHERQQ:
        case ZYDIS_MNEMONIC_VGATHERQPD:
        case ZYDIS_MNEMONIC_VPSCATTERQQ:
        case ZYDIS_MNEMONIC_VSCATTERQPD: return {8, 8};
        default: return {4, 4};
    }
}

std::uint64_t base_value(const Processor& p, ZydisRegister reg) {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    const auto id = ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
    return p.regs.gpr[static_cast<std::size_t>(id) & 15];
}

/// The elements that a memory operand with a vector of indices names.
class Elements {
public:
    Elements(const Processor& p, const Instruction& i, std::size_t memory_operand)
        : shape(shape_of(i.info.mnemonic)), access(stack_access(i, memory_operand)), operand_(memory_operand),
          memory_(i.operands[memory_operand].mem), base_(base_value(p, memory_.base)),
          indices_(read_vector(p.regs, static_cast<std::size_t>(ZydisRegisterGetId(memory_.index)))), plain_(i) {
        count = i.info.avx.vector_length / 8u / std::max(shape.element_bytes, shape.index_bytes);
        // For operand_address, which is to find element after element.
        auto& operand = plain_.operands[operand_];
        operand.mem.type = ZYDIS_MEMOP_TYPE_MEM;
        operand.mem.base = ZYDIS_REGISTER_NONE;
        operand.mem.index = ZYDIS_REGISTER_NONE;
        operand.mem.disp.has_displacement = true;
    }

    [[nodiscard]] bool load(Processor& p, std::size_t n, std::uint64_t& value) {
        std::uint64_t linear = 0;
        return find(p, n, false, linear) && load_element(p, linear, shape.element_bytes, access, value);
    }
    [[nodiscard]] bool store(Processor& p, std::size_t n, std::uint64_t value) {
        std::uint64_t linear = 0;
        return find(p, n, true, linear) && store_element(p, linear, shape.element_bytes, access, value);
    }

    const GatherShape shape;
    const std::uint8_t access;
    std::size_t count = 0;

private:
    [[nodiscard]] bool find(Processor& p, std::size_t n, bool write, std::uint64_t& linear) {
        const std::uint64_t raw = get_element(indices_, n, shape.index_bytes);
        const std::uint64_t index =
            shape.index_bytes == 4 ? static_cast<std::uint64_t>(static_cast<std::int32_t>(raw)) : raw;
        const std::uint64_t offset =
            base_ + index * std::max<std::uint8_t>(memory_.scale, 1) + static_cast<std::uint64_t>(memory_.disp.value);
        plain_.operands[operand_].mem.disp.value = static_cast<std::int64_t>(offset);
        return operand_address(p, plain_, operand_, shape.element_bytes, write, linear);
    }

    const std::size_t operand_;
    const ZydisDecodedOperandMem memory_;
    const std::uint64_t base_;
    const VectorBytes indices_;
    Instruction plain_;
};

/// Operands: destination, memory, mask.
Outcome gather_by_vector(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kAvx)) return Outcome::kFault;
    Elements elements(p, i, 1);
    const std::size_t width = elements.shape.element_bytes;
    YmmBytes& destination = vector_operand(p, i, 0);
    YmmBytes& mask = vector_operand(p, i, 2);
    for (std::size_t n = 0; n < elements.count; ++n) {
        if (is_chosen(mask, n, width)) {
            std::uint64_t value = 0;
            if (!elements.load(p, n, value)) return Outcome::kFault;
            set_element(destination, n, width, value);
        }
        set_element(mask, n, width, 0);
    }
    mask.fill(0);
    const std::size_t result_bytes = elements.count * width;
    std::fill(destination.begin() + static_cast<std::ptrdiff_t>(result_bytes), destination.end(), std::uint8_t{0});
    clear_hi256(p, i, 0);
    clear_hi256(p, i, 2);
    return Outcome::kNext;
}

constexpr std::uint64_t bit(std::size_t n) { return std::uint64_t{1} << n; }

/// Operands: destination, opmask, memory.
Outcome gather_by_opmask(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kAvx512)) return Outcome::kFault;
    Elements elements(p, i, 2);
    std::uint64_t& mask = p.regs.opmask[register_number(i, 1) & 7];
    const std::size_t destination = register_number(i, 0);
    VectorBytes result = read_vector(p.regs, destination);
    const auto put = [&](std::size_t length_bytes) {
        std::fill(result.begin() + static_cast<std::ptrdiff_t>(length_bytes), result.end(), std::uint8_t{0});
        write_vector(p.regs, destination, result);
    };
    for (std::size_t n = 0; n < elements.count; ++n) {
        if ((mask & bit(n)) == 0) continue;
        std::uint64_t value = 0;
        if (!elements.load(p, n, value)) return Outcome::kFault;
        set_element(result, n, elements.shape.element_bytes, value);
        // As on AMD's processors, the first element already clears what is above the vectors' length.
        put(i.info.avx.vector_length / 8u);
        mask &= ~bit(n);
    }
    put(elements.count * elements.shape.element_bytes);
    mask = 0;
    return Outcome::kNext;
}

} // namespace

Outcome execute_gather(Processor& p, const Instruction& i) {
    return i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ? gather_by_opmask(p, i) : gather_by_vector(p, i);
}

/// Operands: memory, opmask, source.
Outcome execute_scatter(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kAvx512)) return Outcome::kFault;
    Elements elements(p, i, 0);
    std::uint64_t& mask = p.regs.opmask[register_number(i, 1) & 7];
    const VectorBytes source = read_vector(p.regs, register_number(i, 2));
    for (std::size_t n = 0; n < elements.count; ++n) {
        if ((mask & bit(n)) == 0) continue;
        if (!elements.store(p, n, get_element(source, n, elements.shape.element_bytes))) return Outcome::kFault;
        mask &= ~bit(n);
    }
    mask = 0;
    return Outcome::kNext;
}

} // namespace touka::cpu::interpreter
