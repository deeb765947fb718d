#include "cpu/interpreter/masked_operand.hpp"

#include <bit>

namespace touka::cpu::interpreter {
namespace {

bool suppresses_faults(ZydisExceptionClass exception_class) {
    switch (exception_class) {
        case ZYDIS_EXCEPTION_CLASS_E1:
        case ZYDIS_EXCEPTION_CLASS_E2:
        case ZYDIS_EXCEPTION_CLASS_E3:
        case ZYDIS_EXCEPTION_CLASS_E4:
        case ZYDIS_EXCEPTION_CLASS_E5:
        case ZYDIS_EXCEPTION_CLASS_E6:
        case ZYDIS_EXCEPTION_CLASS_E10:
        case ZYDIS_EXCEPTION_CLASS_E11: return true;
        default: return false;
    }
}

/// Of class E4NF, where Zydis 4.0 says E4: their elements in memory are not those of the mask.
bool mixes_elements(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_VDBPSADBW || mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEQB ||
           mnemonic == ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB || mnemonic == ZYDIS_MNEMONIC_VCVTNE2PS2BF16;
}

/// Elements that a broadcast makes; 0 when it is none.
std::uint8_t broadcast_elements(ZydisBroadcastMode mode) {
    switch (mode) {
        case ZYDIS_BROADCAST_MODE_1_TO_2: return 2;
        case ZYDIS_BROADCAST_MODE_1_TO_4:
        case ZYDIS_BROADCAST_MODE_2_TO_4: return 4;
        case ZYDIS_BROADCAST_MODE_1_TO_8:
        case ZYDIS_BROADCAST_MODE_2_TO_8:
        case ZYDIS_BROADCAST_MODE_4_TO_8: return 8;
        case ZYDIS_BROADCAST_MODE_1_TO_16:
        case ZYDIS_BROADCAST_MODE_2_TO_16:
        case ZYDIS_BROADCAST_MODE_4_TO_16:
        case ZYDIS_BROADCAST_MODE_8_TO_16: return 16;
        case ZYDIS_BROADCAST_MODE_1_TO_32: return 32;
        case ZYDIS_BROADCAST_MODE_1_TO_64: return 64;
        default: return 0;
    }
}

constexpr std::uint64_t low_bits(unsigned count) {
    return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

} // namespace

bool is_packed(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_VCOMPRESSPD:
        case ZYDIS_MNEMONIC_VCOMPRESSPS:
        case ZYDIS_MNEMONIC_VEXPANDPD:
        case ZYDIS_MNEMONIC_VEXPANDPS:
        case ZYDIS_MNEMONIC_VPCOMPRESSB:
        case ZYDIS_MNEMONIC_VPCOMPRESSD:
        case ZYDIS_MNEMONIC_VPCOMPRESSQ:
        case ZYDIS_MNEMONIC_VPCOMPRESSW:
        case ZYDIS_MNEMONIC_VPEXPANDB:
        case ZYDIS_MNEMONIC_VPEXPANDD:
        case ZYDIS_MNEMONIC_VPEXPANDQ:
        case ZYDIS_MNEMONIC_VPEXPANDW: return true;
        default: return false;
    }
}

std::uint64_t MaskedOperand::chosen(const RegisterFile& regs) const {
    const std::uint64_t mask = regs.opmask[opmask] & low_bits(bit_count);
    if (mapping == Mapping::kEach) return mask;
    if (mapping == Mapping::kPacked) return low_bits(static_cast<unsigned>(std::popcount(mask)));
    std::uint64_t elements = 0;
    for (unsigned bit = 0; bit < bit_count; bit += element_count) elements |= mask >> bit;
    return elements & low_bits(element_count);
}

std::optional<MaskedOperand> masked_operand(const Instruction& i, std::size_t memory_operand) {
    const auto& avx = i.info.avx;
    if (i.info.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX || avx.mask.reg == ZYDIS_REGISTER_NONE ||
        avx.mask.reg == ZYDIS_REGISTER_K0 || !suppresses_faults(i.info.meta.exception_class) ||
        mixes_elements(i.info.mnemonic))
        return std::nullopt;
    const auto& memory = i.operands[memory_operand];
    MaskedOperand masked;
    masked.opmask = static_cast<std::uint8_t>(ZydisRegisterGetId(avx.mask.reg));
    masked.element_count = static_cast<std::uint8_t>(memory.element_count);
    masked.element_bytes = static_cast<std::uint8_t>(memory.size / 8 / memory.element_count);
    masked.bit_count = broadcast_elements(avx.broadcast.mode);
    if (masked.bit_count != 0) {
        masked.mapping = MaskedOperand::Mapping::kRepeated;
    } else {
        masked.bit_count = masked.element_count;
        if (is_packed(i.info.mnemonic)) masked.mapping = MaskedOperand::Mapping::kPacked;
    }
    return masked;
}

} // namespace touka::cpu::interpreter
