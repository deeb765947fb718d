#include "instructions/assembler.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace touka::tests::instructions {

ZydisEncoderOperand reg(ZydisRegister value) {
    ZydisEncoderOperand o{};
    o.type = ZYDIS_OPERAND_TYPE_REGISTER;
    o.reg.value = value;
    return o;
}

ZydisEncoderOperand immediate(std::int64_t value) {
    ZydisEncoderOperand o{};
    o.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
    o.imm.s = value;
    return o;
}

ZydisEncoderOperand memory(ZydisRegister base, std::int64_t displacement, std::size_t size_bytes, ZydisRegister index,
                           unsigned scale) {
    ZydisEncoderOperand o{};
    o.type = ZYDIS_OPERAND_TYPE_MEMORY;
    o.mem.base = base;
    o.mem.index = index;
    o.mem.scale = static_cast<ZyanU8>(scale);
    o.mem.displacement = displacement;
    o.mem.size = static_cast<ZyanU16>(size_bytes);
    return o;
}

bool Assembler::add(ZydisMnemonic mnemonic, std::initializer_list<ZydisEncoderOperand> operands,
                    ZydisInstructionAttributes prefixes) {
    ZydisEncoderRequest request{};
    request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    request.mnemonic = mnemonic;
    request.prefixes = prefixes;
    request.operand_count = static_cast<ZyanU8>(operands.size());
    std::ranges::copy(operands, request.operands);
    std::array<std::uint8_t, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes;
    ZyanUSize length = bytes.size();
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, bytes.data(), &length))) return false;
    code_.insert(code_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    return true;
}

Assembler::Label Assembler::make_label() {
    places_.push_back(0);
    return places_.size() - 1;
}

void Assembler::add_relative(const std::vector<std::uint8_t>& opcode, Label to) {
    add(opcode);
    references_.push_back({code_.size(), to});
    code_.resize(code_.size() + 4);
}

std::vector<std::uint8_t> Assembler::finish() {
    for (const Reference& r : references_) {
        const auto displacement = static_cast<std::int32_t>(places_[r.label] - (r.at + 4));
        std::memcpy(code_.data() + r.at, &displacement, sizeof(displacement));
    }
    return code_;
}

} // namespace touka::tests::instructions
