#include "cpu/translator/host_form.hpp"

#include <algorithm>
#include <span>

#include "cpu/interpreter/masked_operand.hpp"

namespace touka::cpu::translator {
namespace {

using interpreter::Instruction;

/// The parts of an encoding that differ between the guest's and the host's.
struct Shape {
    std::uint8_t opcode = 0;
    bool has_modrm = false;
    bool register_in_opcode = false;
    std::uint8_t reg = 0, rm = 0; ///< 0 to 15
    bool memory = false;
};

Shape original_shape(const Instruction& i) {
    const auto& raw = i.info.raw;
    const bool vex = i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    const unsigned r = vex ? ~raw.vex.R & 1u : raw.rex.R; // VEX has them inverted
    const unsigned b = vex ? ~raw.vex.B & 1u : raw.rex.B;
    Shape s;
    s.opcode = i.info.opcode;
    s.has_modrm = (i.info.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
    if (s.has_modrm) {
        s.reg = static_cast<std::uint8_t>(raw.modrm.reg | r << 3);
        s.rm = static_cast<std::uint8_t>(raw.modrm.rm | b << 3);
    }
    for (std::size_t n = 0; n < i.info.operand_count; ++n)
        s.register_in_opcode |= i.operands[n].encoding == ZYDIS_OPERAND_ENCODING_OPCODE;
    return s;
}

/// ADD AL, imm and its like have a general form.
void give_modrm(const Instruction& i, Shape& s) {
    if (i.info.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || i.info.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return;
    if (s.opcode < 0x40 && (s.opcode & 6) == 4) {
        s.reg = (s.opcode >> 3) & 7;
        s.opcode = 0x80 | (s.opcode & 1);
        s.has_modrm = true;
    } else if (s.opcode == 0xA8 || s.opcode == 0xA9) {
        s.reg = 0;
        s.opcode = 0xF6 | (s.opcode & 1);
        s.has_modrm = true;
    } else if (s.opcode > 0x90 && s.opcode < 0x98) {
        s.opcode = 0x87;
        s.has_modrm = true;
        s.register_in_opcode = false;
    }
}

/// What EVEX multiplies short displacements by: the length of the memory operand, or of one element where the number of
/// elements is the mask's. (SDM vol. 2 rev. 084 §2.7.5)
std::int32_t displacement_unit(const Instruction& i) {
    if (i.info.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX) return 1;
    const auto used = std::span(i.operands).first(i.info.operand_count);
    const auto memory = std::ranges::find(used, ZYDIS_OPERAND_TYPE_MEMORY, &ZydisDecodedOperand::type);
    if (memory == used.end()) return 1;
    return (interpreter::is_packed(i.info.mnemonic) ? memory->element_size : memory->size) / 8;
}

void add_modrm(HostBytes& out, const Instruction& i, const Shape& s, const HostForm& form) {
    const unsigned reg = (s.reg & 7u) << 3;
    if (!form.memory) return out.add(0xC0 | reg | (s.rm & 7u));
    const unsigned base = form.base & 7u;
    const bool has_sib = base == 4, needs_displacement = base == 5;
    const std::int32_t unit = displacement_unit(i), units = form.displacement / unit;
    const bool short_displacement = form.displacement % unit == 0 && units >= -128 && units < 128;
    const unsigned mod = form.displacement == 0 && !needs_displacement ? 0 : short_displacement ? 1 : 2;
    out.add(mod << 6 | reg | base);
    if (has_sib) out.add(0x24);
    if (mod == 0) return;
    const auto displacement = static_cast<std::uint32_t>(mod == 1 ? units : form.displacement);
    for (unsigned n = 0; n < (mod == 1 ? 1u : 4u); ++n) out.add(displacement >> 8 * n & 0xFF);
}

void add_immediates(HostBytes& out, const Instruction& i) {
    for (const auto& immediate : i.info.raw.imm)
        for (unsigned n = 0; n < immediate.size / 8u; ++n) out.add(i.bytes[immediate.offset + n]);
}

/// Each prefix once: the guest's instruction may be 15 bytes long by repeating them, and the host's may need a REX
/// prefix or a displacement that the guest's does without.
void add_prefixes(HostBytes& out, const Instruction& i) {
    const std::span prefixes(i.info.raw.prefixes, i.info.raw.prefix_count);
    for (std::size_t n = 0; n < prefixes.size(); ++n) {
        const std::uint8_t prefix = prefixes[n].value;
        const auto is_same = [prefix](const auto& later) { return later.value == prefix; };
        if (std::ranges::any_of(prefixes.subspan(n + 1), is_same)) continue;
        if (prefix == 0x66 || prefix == 0xF2 || prefix == 0xF3 || prefix == 0xF0) out.add(prefix);
    }
}

void add_legacy_head(HostBytes& out, const Instruction& i, const Shape& s, unsigned b, bool force_rex) {
    add_prefixes(out, i);
    const unsigned r = s.has_modrm ? s.reg >> 3 : 0u;
    const unsigned rex = static_cast<unsigned>(i.info.raw.rex.W) << 3 | r << 2 | b;
    if (rex != 0 || force_rex) out.add(0x40 | rex);
    switch (i.info.opcode_map) {
        case ZYDIS_OPCODE_MAP_0F38:
            out.add(0x0F);
            out.add(0x38);
            break;
        case ZYDIS_OPCODE_MAP_0F3A:
            out.add(0x0F);
            out.add(0x3A);
            break;
        case ZYDIS_OPCODE_MAP_0F: out.add(0x0F); break;
        default: break;
    }
}

void add_vex_head(HostBytes& out, const Instruction& i, const Shape& s, unsigned b, const HostForm& form) {
    const std::uint8_t* vex = i.bytes.data() + i.info.raw.vex.offset;
    const bool is_short = vex[0] == 0xC5;
    const unsigned map = is_short ? 1 : vex[1] & 0x1Fu;
    unsigned last = is_short ? vex[1] & 0x7Fu : vex[2];
    if (form.vvvv != HostForm::kKept) last = (last & 0x87u) | (~unsigned{form.vvvv} & 15u) << 3;
    out.add(0xC4);
    out.add((~(s.reg >> 3u) & 1u) << 7 | 1u << 6 | (~b & 1u) << 5 | map);
    out.add(last);
}

/// As the guest has it, but for general registers and the base. (SDM vol. 2 rev. 084 §2.7.1: R, X, B and R' are
/// inverted; X is bit 4 of a vector register in ModRM.rm, which is kept)
void add_evex_head(HostBytes& out, const Instruction& i, const HostForm& form) {
    constexpr unsigned kR = 0x80, kX = 0x40, kB = 0x20, kHighR = 0x10;
    const std::uint8_t* evex = i.bytes.data() + i.info.raw.evex.offset;
    unsigned first = evex[1];
    if (form.reg != HostForm::kKept) first = (first & ~kR) | kHighR | (form.reg < 8 ? kR : 0);
    if (form.memory || form.rm != HostForm::kKept) {
        const HostRegister b = form.memory ? form.base : form.rm;
        first = (first & ~kB) | kX | (b < 8 ? kB : 0);
    }
    out.add(evex[0]);
    out.add(first);
    out.add(evex[2]);
    out.add(evex[3]);
}

} // namespace

HostBytes host_bytes(const Instruction& i, const HostForm& form) {
    Shape s = original_shape(i);
    give_modrm(i, s);
    if (form.reg != HostForm::kKept) s.reg = form.reg;
    if (form.rm != HostForm::kKept) s.rm = form.rm;
    // Where ModRM.reg is a part of the opcode, REX.R says nothing.
    const unsigned b = s.has_modrm || s.register_in_opcode ? (form.memory ? form.base >> 3u : s.rm >> 3u) : 0u;
    HostBytes out;
    if (i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
        add_vex_head(out, i, s, b, form);
    else if (i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX)
        add_evex_head(out, i, form);
    else
        add_legacy_head(out, i, s, b, form.has_bytes);
    out.add(s.register_in_opcode ? (s.opcode & 0xF8u) | (s.rm & 7u) : s.opcode);
    if (s.has_modrm) add_modrm(out, i, s, form);
    add_immediates(out, i);
    return out;
}

} // namespace touka::cpu::translator
