#include "instructions/encoding.hpp"

namespace touka::tests::instructions {
namespace {

/// Register fields of ModRM, SIB and their extension bits.
struct Fields {
    std::uint8_t modrm = 0;
    bool has_sib = false;
    std::uint8_t sib = 0;
    std::uint8_t displacement_bytes = 0;
    bool r = false, x = false, b = false;
    std::uint8_t vvvv = 0;     ///< EVEX: V' is bit 4
    bool r_high = false;       ///< EVEX.R'
    std::uint8_t opmask = 0;   ///< EVEX.aaa
    bool zeroing = false;      ///< EVEX.z
    bool address_size = false; ///< 67h
};

void put_prefixes(const Encoding& e, const Fields& f, std::vector<std::uint8_t>& out) {
    if (e.lock) out.push_back(0xF0);
    if (f.address_size) out.push_back(0x67);
    if (e.vex) {
        const unsigned inverted = (f.r ? 0u : 0x80u) | (f.x ? 0u : 0x40u) | (f.b ? 0u : 0x20u);
        out.push_back(0xC4);
        out.push_back(static_cast<std::uint8_t>(inverted | e.map));
        out.push_back(
            static_cast<std::uint8_t>((e.wide ? 0x80 : 0) | (~f.vvvv & 15) << 3 | (e.vex_long ? 4 : 0) | e.vex_pp));
        return;
    }
    if (e.evex) {
        const unsigned inverted =
            (f.r ? 0u : 0x80u) | (f.x ? 0u : 0x40u) | (f.b ? 0u : 0x20u) | (f.r_high ? 0u : 0x10u);
        out.push_back(0x62);
        out.push_back(static_cast<std::uint8_t>(inverted | e.map));
        out.push_back(static_cast<std::uint8_t>((e.wide ? 0x80 : 0) | (~f.vvvv & 15) << 3 | 4 | e.vex_pp));
        out.push_back(static_cast<std::uint8_t>((f.zeroing ? 0x80 : 0) | e.evex_length << 5 | (e.evex_b ? 0x10 : 0) |
                                                (f.vvvv < 16 ? 8 : 0) | f.opmask));
        return;
    }
    if (e.operand_size) out.push_back(0x66);
    if (e.repeat != 0) out.push_back(e.repeat);
    if (e.wide || f.r || f.x || f.b) {
        out.push_back(
            static_cast<std::uint8_t>(0x40 | (e.wide ? 8 : 0) | (f.r ? 4 : 0) | (f.x ? 2 : 0) | (f.b ? 1 : 0)));
    }
    if (e.map != 0) out.push_back(0x0F);
    if (e.map == 2) out.push_back(0x38);
    if (e.map == 3) out.push_back(0x3A);
}

std::vector<std::uint8_t> assemble(const Encoding& e, const Fields& f, Random* random) {
    std::vector<std::uint8_t> out;
    put_prefixes(e, f, out);
    out.push_back(e.opcode);
    const auto any = [&] { return random != nullptr ? random->byte() : std::uint8_t{0}; };
    if (e.has_modrm) {
        out.push_back(f.modrm);
        if (f.has_sib) out.push_back(f.sib);
        for (unsigned n = 0; n < f.displacement_bytes; ++n) out.push_back(any());
    }
    for (unsigned n = 0; n < 8; ++n) out.push_back(any());
    return out;
}

/// Chooses an addressing mode. Displacements are corrected later, when the address is known.
void choose_address(const Encoding& e, bool vector_index, Random& random, Fields& f) {
    const std::uint8_t reg = f.modrm & 0x38;
    f.x = f.b = false;
    const std::uint8_t high = e.compat ? 0 : static_cast<std::uint8_t>(random.below(2));
    const auto kind = vector_index ? 3 : random.below(6);
    switch (kind) {
        case 0: // [base + disp8]
            f.modrm = static_cast<std::uint8_t>(0x40 | reg | random.below(4));
            f.b = high != 0;
            f.displacement_bytes = 1;
            return;
        case 1: // [base]
            f.modrm = static_cast<std::uint8_t>(reg | (random.one_in(2) ? 6 + random.below(2) : random.below(4)));
            f.b = high != 0;
            return;
        case 2: // RIP-relative; in 32-bit code an absolute address
            f.modrm = static_cast<std::uint8_t>(reg | 5);
            f.displacement_bytes = 4;
            return;
        case 4: // absolute, by SIB without base and index
            f.modrm = static_cast<std::uint8_t>(reg | 4);
            f.has_sib = true;
            f.sib = 0x25;
            f.displacement_bytes = 4;
            return;
        default: { // [base + index * scale + disp32]
            const auto base = random.below(8);
            auto index = random.below(8);
            while (!vector_index && (index == base || index == 4)) index = random.below(8);
            f.modrm = static_cast<std::uint8_t>(0x80 | reg | 4);
            f.has_sib = true;
            f.sib = static_cast<std::uint8_t>(random.below(4) << 6 | index << 3 | base);
            f.b = high != 0;
            f.x = !e.compat && random.one_in(2);
            f.displacement_bytes = 4;
            f.address_size = !e.compat && random.one_in(4);
            return;
        }
    }
}

Fields random_fields(const Encoding& e, bool vector_index, Random& random) {
    Fields f;
    f.modrm = e.modrm;
    if (e.has_modrm) {
        if (!random.one_in(4)) f.modrm = static_cast<std::uint8_t>((f.modrm & ~0x38) | random.below(8) << 3);
        if (!e.memory && !random.one_in(4)) f.modrm = static_cast<std::uint8_t>((f.modrm & ~7) | random.below(8));
    }
    if (!e.compat) {
        f.r = random.one_in(2);
        f.b = random.one_in(2);
        f.x = random.one_in(4);
    }
    if (e.vex && !random.one_in(8)) f.vvvv = static_cast<std::uint8_t>(random.below(e.compat ? 8 : 16));
    if (e.evex) {
        // Many have no second source, and some no mask: they want zeros there.
        if (random.one_in(2)) f.vvvv = static_cast<std::uint8_t>(random.below(e.compat ? 8 : 32));
        f.r_high = !e.compat && random.one_in(2);
        if (!random.one_in(3)) f.opmask = static_cast<std::uint8_t>(random.below(8));
        f.zeroing = random.one_in(3);
    }
    if (e.has_modrm && e.memory) choose_address(e, vector_index, random, f);
    return f;
}

} // namespace

std::vector<std::uint8_t> plain_bytes(const Encoding& e) {
    Fields f;
    f.modrm = e.modrm;
    const bool memory = e.has_modrm && e.modrm < 0xC0;
    if (memory && (e.modrm & 7) == 4) { // the VSIB forms: base RBX, index 2
        f.has_sib = true;
        f.sib = 0x13;
    }
    const bool vector_index = memory && (e.modrm & 7) == 4;
    f.vvvv = e.vex && vector_index ? 5 : 0;
    f.opmask = e.evex && vector_index ? 1 : 0;
    return assemble(e, f, nullptr);
}

std::vector<std::uint8_t> random_bytes(const Form& form, Random& random, Decoded& decoded) {
    const Encoding& e = form.encoding;
    const bool vector_index = e.memory && (e.modrm & 7) == 4;
    for (int tries = 0; tries < 60; ++tries) {
        auto bytes = assemble(e, random_fields(e, vector_index, random), &random);
        if (!decode(e.compat, bytes, decoded) || form_key(decoded) != form.key) continue;
        // REX.B makes PAUSE an XCHG of R8 on the host, which Zydis does not know.
        if (decoded.info.mnemonic == ZYDIS_MNEMONIC_PAUSE && decoded.info.raw.rex.B != 0) continue;
        bytes.resize(decoded.info.length);
        return bytes;
    }
    auto bytes = plain_bytes(e);
    if (!decode(e.compat, bytes, decoded) || form_key(decoded) != form.key) return {};
    bytes.resize(decoded.info.length);
    return bytes;
}

} // namespace touka::tests::instructions
