#include "cpu/interpreter/host_encoding.hpp"

#include <algorithm>

#include "cpu/interpreter/native_set.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint8_t kHostReg = 8, kHostRm = 9, kHostVvvv = 10;
constexpr std::uint8_t kOperandSizePrefix = 0x66;

/// Collects operands into the encoding. @return false for operands that have no native form.
class OperandBinder {
public:
    OperandBinder(const Instruction& instruction, HostEncoding& encoding) : i_(instruction), e_(encoding) {}

    bool bind() {
        for (std::uint8_t n = 0; n < i_.info.operand_count; ++n) {
            const auto& operand = i_.operands[n];
            if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && !bind_memory(n, operand)) return false;
            if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && !bind_register(operand)) return false;
            if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) return false;
        }
        return true;
    }
    bool reg_is_general = false, rm_is_general = false, vvvv_is_general = false;

private:
    static bool writes(const ZydisDecodedOperand& o) { return (o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0; }
    static bool reads(const ZydisDecodedOperand& o) { return (o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0; }

    bool bind_memory(std::uint8_t index, const ZydisDecodedOperand& operand) {
        if (operand.mem.type != ZYDIS_MEMOP_TYPE_MEM || operand.encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM)
            return false;
        if (operand.size == 0 || operand.size > 108 * 8) return false;
        e_.memory_operand = index;
        e_.memory_bytes = static_cast<std::uint8_t>(operand.size / 8);
        e_.reads_memory = reads(operand);
        e_.writes_memory = writes(operand);
        return true;
    }

    bool bind_register(const ZydisDecodedOperand& operand) {
        const auto id = ZydisRegisterGetId(operand.reg.value);
        switch (ZydisRegisterGetClass(operand.reg.value)) {
            case ZYDIS_REGCLASS_GPR8:
            case ZYDIS_REGCLASS_GPR16:
            case ZYDIS_REGCLASS_GPR32:
            case ZYDIS_REGCLASS_GPR64: return bind_general(operand);
            case ZYDIS_REGCLASS_XMM:
            case ZYDIS_REGCLASS_YMM:
            case ZYDIS_REGCLASS_ZMM:
                if (id < 0 || id > 31) return false;
                e_.vectors_used |= 1u << id;
                if (writes(operand)) e_.vectors_written |= 1u << id;
                return true;
            case ZYDIS_REGCLASS_MASK: return bind_opmask(static_cast<unsigned>(id), writes(operand));
            case ZYDIS_REGCLASS_MMX: e_.touches_x87 = true; return true;
            case ZYDIS_REGCLASS_X87:
            case ZYDIS_REGCLASS_FLAGS: return true;
            default:
                return operand.reg.value == ZYDIS_REGISTER_X87STATUS ||
                       operand.reg.value == ZYDIS_REGISTER_X87CONTROL || operand.reg.value == ZYDIS_REGISTER_X87TAG ||
                       operand.reg.value == ZYDIS_REGISTER_MXCSR;
        }
    }

    bool bind_opmask(unsigned id, bool written) {
        if (id > 7) return false;
        // VP2INTERSECT writes a pair, of which the description names one.
        const bool pair = written && (i_.info.mnemonic == ZYDIS_MNEMONIC_VP2INTERSECTD ||
                                      i_.info.mnemonic == ZYDIS_MNEMONIC_VP2INTERSECTQ);
        const unsigned bits = pair ? 3u << (id & ~1u) : 1u << id;
        e_.opmasks_used = static_cast<std::uint8_t>(e_.opmasks_used | bits);
        if (written) e_.opmasks_written = static_cast<std::uint8_t>(e_.opmasks_written | bits);
        return true;
    }

    bool bind_general(const ZydisDecodedOperand& operand) {
        GeneralBinding binding;
        const auto reg = operand.reg.value;
        binding.high_byte = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
        const auto whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
        const auto id = ZydisRegisterGetId(whole);
        if (id < 0 || id > 15) return false;
        binding.guest = static_cast<std::uint8_t>(id);
        binding.written = writes(operand);
        if (binding.high_byte && binding.written) return false;
        switch (operand.encoding) {
            case ZYDIS_OPERAND_ENCODING_MODRM_REG:
                binding.host = kHostReg;
                reg_is_general = true;
                break;
            case ZYDIS_OPERAND_ENCODING_MODRM_RM:
                binding.host = kHostRm;
                rm_is_general = true;
                break;
            case ZYDIS_OPERAND_ENCODING_NDSNDD:
                binding.host = kHostVvvv;
                vvvv_is_general = true;
                break;
            case ZYDIS_OPERAND_ENCODING_NONE:
                if (binding.guest > 2) return false; // all implicit ones of our instructions are RAX, RCX, RDX
                binding.host = binding.guest;
                break;
            default: return false;
        }
        if (e_.general_count == e_.general.size()) return false;
        e_.general[e_.general_count++] = binding;
        return true;
    }

    const Instruction& i_;
    HostEncoding& e_;
};

/// Writes the instruction's bytes anew.
class Rewriter {
public:
    Rewriter(const Instruction& instruction, const OperandBinder& operands, HostEncoding& encoding)
        : i_(instruction), operands_(operands), e_(encoding) {}

    bool rewrite(bool keep_vex_w) {
        e_.length = 0;
        if (i_.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
            vex_prefix(keep_vex_w);
        } else if (i_.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
            evex_prefix(keep_vex_w);
        } else {
            legacy_prefixes();
            if (!opcode_map()) return false;
        }
        put(i_.info.opcode);
        if ((i_.info.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0) put(modrm());
        for (const auto& immediate : i_.info.raw.imm) {
            for (unsigned n = 0; n < immediate.size / 8u; ++n) put(i_.bytes[immediate.offset + n]);
        }
        if (is_register_immediate() && !long_mode()) {
            e_.bytes[e_.length - 1u] &= 0x7F; // is4: only eight registers outside of 64-bit mode
        }
        return true;
    }

private:
    void put(std::uint8_t byte) { e_.bytes[e_.length++] = byte; }
    [[nodiscard]] bool long_mode() const { return i_.info.machine_mode == ZYDIS_MACHINE_MODE_LONG_64; }
    [[nodiscard]] bool has_memory() const { return e_.memory_operand != 0xFF; }

    [[nodiscard]] bool is_register_immediate() const {
        return std::any_of(i_.operands.begin(), i_.operands.begin() + i_.info.operand_count,
                           [](const auto& o) { return o.encoding == ZYDIS_OPERAND_ENCODING_IS4; });
    }

    [[nodiscard]] bool wants_operand_size_prefix() const {
        if (is_sized_by_operand(i_.info.mnemonic)) {
            return e_.touches_x87 ? e_.memory_bytes == 14 || e_.memory_bytes == 94 : i_.info.operand_width == 16;
        }
        for (unsigned n = 0; n < i_.info.raw.prefix_count; ++n) {
            const auto& prefix = i_.info.raw.prefixes[n];
            if (prefix.value == kOperandSizePrefix && prefix.type == ZYDIS_PREFIX_TYPE_MANDATORY) return true;
        }
        return false;
    }

    void legacy_prefixes() {
        if (wants_operand_size_prefix()) put(kOperandSizePrefix);
        bool w = false, r = false, b = false;
        for (unsigned n = 0; n < i_.info.raw.prefix_count; ++n) {
            const auto& prefix = i_.info.raw.prefixes[n];
            if ((prefix.value == 0xF2 || prefix.value == 0xF3) && prefix.type == ZYDIS_PREFIX_TYPE_MANDATORY) {
                put(prefix.value);
            }
        }
        if ((i_.info.attributes & ZYDIS_ATTRIB_HAS_REX) != 0) {
            w = i_.info.raw.rex.W != 0;
            r = i_.info.raw.rex.R != 0;
            b = i_.info.raw.rex.B != 0;
        }
        r = r || operands_.reg_is_general;
        b = has_memory() ? false : b || operands_.rm_is_general;
        if (w || r || b) put(static_cast<std::uint8_t>(0x40 | (w ? 8 : 0) | (r ? 4 : 0) | (b ? 1 : 0)));
    }

    bool opcode_map() {
        switch (i_.info.opcode_map) {
            case ZYDIS_OPCODE_MAP_DEFAULT: return true;
            case ZYDIS_OPCODE_MAP_0F: put(0x0F); return true;
            case ZYDIS_OPCODE_MAP_0F38:
                put(0x0F);
                put(0x38);
                return true;
            case ZYDIS_OPCODE_MAP_0F3A:
                put(0x0F);
                put(0x3A);
                return true;
            default: return false;
        }
    }

    /// Always the three-byte form. R, X, B and vvvv are stored inverted. (APM vol. 3 §1.2.9)
    void vex_prefix(bool keep_w) {
        const std::uint8_t* source = i_.bytes.data() + i_.info.raw.vex.offset;
        const bool two_bytes = source[0] == 0xC5;
        std::uint8_t second = two_bytes ? static_cast<std::uint8_t>((source[1] & 0x80) | 0x61) : source[1];
        std::uint8_t third = two_bytes ? static_cast<std::uint8_t>(source[1] & 0x7F) : source[2];
        if (!long_mode()) {
            second |= 0xE0;
            third |= 0x40;
        }
        if (operands_.reg_is_general) second &= 0x7F;
        if (operands_.rm_is_general) second &= 0xDF;
        if (has_memory()) second |= 0x60;
        if (operands_.vvvv_is_general) third = static_cast<std::uint8_t>((third & 0x87) | (~kHostVvvv & 0xF) << 3);
        if (!keep_w) third &= 0x7F;
        put(0xC4);
        put(second);
        put(third);
    }

    /// R, X, B, R', vvvv and V' are stored inverted. The displacement goes, and with it what it is scaled by; mask,
    /// zeroing, broadcast and rounding stay as they are. (SDM vol. 2 rev. 084 §2.7.1)
    void evex_prefix(bool keep_w) {
        constexpr unsigned kR = 0x80, kX = 0x40, kB = 0x20, kHighR = 0x10, kVvvv3 = 0x40, kW = 0x80, kHighV = 0x08;
        const std::uint8_t* source = i_.bytes.data() + i_.info.raw.evex.offset;
        unsigned first = source[1], second = source[2], third = source[3];
        if (!long_mode()) {
            first |= kR | kX | kB | kHighR;
            second |= kVvvv3;
            third |= kHighV;
        }
        if (operands_.reg_is_general) first = (first & ~kR) | kHighR;
        if (operands_.rm_is_general) first = (first & ~kB) | kX;
        if (has_memory()) first |= kX | kB;
        if (!keep_w) second &= ~kW;
        put(source[0]);
        put(static_cast<std::uint8_t>(first));
        put(static_cast<std::uint8_t>(second));
        put(static_cast<std::uint8_t>(third));
    }

    [[nodiscard]] std::uint8_t modrm() const {
        const auto& raw = i_.info.raw.modrm;
        const unsigned reg = operands_.reg_is_general ? kHostReg & 7u : raw.reg;
        if (has_memory()) return static_cast<std::uint8_t>(reg << 3 | HostEncoding::kMemoryHost);
        const unsigned rm = operands_.rm_is_general ? kHostRm & 7u : raw.rm;
        return static_cast<std::uint8_t>(unsigned{raw.mod} << 6 | reg << 3 | rm);
    }

    const Instruction& i_;
    const OperandBinder& operands_;
    HostEncoding& e_;
};

/// Registers that keep their names.
bool is_vector_or_opmask(ZydisRegister reg) {
    switch (ZydisRegisterGetClass(reg)) {
        case ZYDIS_REGCLASS_XMM:
        case ZYDIS_REGCLASS_YMM:
        case ZYDIS_REGCLASS_ZMM:
        case ZYDIS_REGCLASS_MASK: return true;
        default: return false;
    }
}

/// What an EVEX prefix says beside the operands.
bool has_same_decorations(const ZydisDecodedInstruction& a, const ZydisDecodedInstruction& b) {
    return a.avx.mask.mode == b.avx.mask.mode && a.avx.mask.reg == b.avx.mask.reg &&
           a.avx.broadcast.mode == b.avx.broadcast.mode && a.avx.rounding.mode == b.avx.rounding.mode &&
           a.avx.has_sae == b.avx.has_sae && a.avx.vector_length == b.avx.vector_length;
}

/// The rewritten bytes must still be the same instruction: the last line of defence before the host runs them.
bool means_the_same(const HostEncoding& encoding, const Instruction& instruction) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction info;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64))) return false;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder, encoding.bytes.data(), encoding.length, &info, operands.data()))) {
        return false;
    }
    if (info.mnemonic != instruction.info.mnemonic || info.length != encoding.length) return false;
    if (info.operand_count != instruction.info.operand_count) return false;
    if (!has_same_decorations(info, instruction.info)) return false;
    for (std::size_t n = 0; n < info.operand_count; ++n) {
        const auto &now = operands[n], &before = instruction.operands[n];
        if (now.type != before.type || now.encoding != before.encoding) return false;
        const bool is_data =
            now.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN && now.type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
        if (is_data && now.size != before.size) return false;
        const bool is_register = now.type == ZYDIS_OPERAND_TYPE_REGISTER;
        if (is_register && is_vector_or_opmask(now.reg.value) && now.reg.value != before.reg.value) return false;
        if (now.type == ZYDIS_OPERAND_TYPE_MEMORY && now.mem.base != ZYDIS_REGISTER_RSI) return false;
    }
    return true;
}

void note_flags(const Instruction& i, HostEncoding& e) {
    if (i.info.cpu_flags == nullptr) return;
    constexpr auto kStatus = static_cast<ZydisAccessedFlagsMask>(StatusFlags::kRflagsMask);
    const auto& f = *i.info.cpu_flags;
    e.stores_flags = ((f.modified | f.set_0 | f.set_1 | f.undefined) & kStatus) != 0;
    e.loads_flags = e.stores_flags || (f.tested & kStatus) != 0;
}

} // namespace

std::string HostEncoding::key() const {
    std::string key(reinterpret_cast<const char*>(bytes.data()), length);
    for (const auto& binding : general_registers()) {
        key.push_back(static_cast<char>(binding.guest | (binding.high_byte ? 0x10 : 0)));
    }
    return key;
}

std::optional<HostEncoding> encode_for_host(const Instruction& instruction) {
    if (!is_native(instruction)) return std::nullopt;
    HostEncoding encoding;
    encoding.touches_x87 = is_x87_opcode(instruction) || instruction.info.mnemonic == ZYDIS_MNEMONIC_EMMS;
    OperandBinder operands(instruction, encoding);
    if (!operands.bind()) return std::nullopt;
    encoding.is_evex = instruction.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    encoding.is_512bit = encoding.is_evex && instruction.info.avx.vector_length == 512;
    encoding.whole_vectors = encoding.is_evex || instruction.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    encoding.needs = registers_needed(instruction, encoding.vectors_used != 0, encoding.touches_x87);
    encoding.under_mxcsr = is_under_mxcsr(instruction);
    encoding.alignment_bytes = required_alignment(instruction, encoding.memory_bytes);
    note_flags(instruction, encoding);

    Rewriter rewriter(instruction, operands, encoding);
    if (!rewriter.rewrite(true)) return std::nullopt;
    if (means_the_same(encoding, instruction)) return encoding;
    // Outside of 64-bit mode VEX.W and EVEX.W are ignored where it would choose a 64-bit general operand.
    const bool ignores_w = encoding.whole_vectors && instruction.info.machine_mode != ZYDIS_MACHINE_MODE_LONG_64;
    if (ignores_w && rewriter.rewrite(false) && means_the_same(encoding, instruction)) return encoding;
    return std::nullopt;
}

} // namespace touka::cpu::interpreter
