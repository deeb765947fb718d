#include "instructions/form.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "cpu/interpreter/host_avx512.hpp"
#include "instructions/encoding.hpp"

namespace touka::tests::instructions {
namespace {

/// Of the parts of AVX-512 that this host has: all but FP16 and what only Xeon Phi has.
bool is_tested_avx512(ZydisISASet set) {
    struct Part {
        std::string_view name;
        bool is_there;
    };
    static const std::array<Part, 15> parts = {{
        {"AVX512F_", true},
        {"AVX512BW_", true},
        {"AVX512CD_", true},
        {"AVX512DQ_", true},
        {"AVX512_BF16_", __builtin_cpu_supports("avx512bf16") != 0},
        {"AVX512_BITALG_", __builtin_cpu_supports("avx512bitalg") != 0},
        {"AVX512_GFNI_", __builtin_cpu_supports("gfni") != 0},
        {"AVX512_IFMA_", __builtin_cpu_supports("avx512ifma") != 0},
        {"AVX512_VAES_", __builtin_cpu_supports("vaes") != 0},
        {"AVX512_VBMI_", __builtin_cpu_supports("avx512vbmi") != 0},
        {"AVX512_VBMI2_", __builtin_cpu_supports("avx512vbmi2") != 0},
        {"AVX512_VNNI_", __builtin_cpu_supports("avx512vnni") != 0},
        {"AVX512_VP2INTERSECT_", __builtin_cpu_supports("avx512vp2intersect") != 0},
        {"AVX512_VPCLMULQDQ_", __builtin_cpu_supports("vpclmulqdq") != 0},
        {"AVX512_VPOPCNTDQ_", __builtin_cpu_supports("avx512vpopcntdq") != 0},
    }};
    const std::string_view name = ZydisISASetGetString(set);
    const auto has_name = [&](const Part& part) { return part.is_there && name.starts_with(part.name); };
    return cpu::interpreter::host_has_avx512() && std::ranges::any_of(parts, has_name);
}

bool is_tested_extension(const Decoded& d) {
    switch (d.info.meta.isa_ext) {
        case ZYDIS_ISA_EXT_AVX512EVEX:
        case ZYDIS_ISA_EXT_AVX512VEX: return is_tested_avx512(d.info.meta.isa_set);
        case ZYDIS_ISA_EXT_GFNI: return __builtin_cpu_supports("gfni");
        case ZYDIS_ISA_EXT_VAES: return __builtin_cpu_supports("vaes");
        case ZYDIS_ISA_EXT_VPCLMULQDQ: return __builtin_cpu_supports("vpclmulqdq");
        case ZYDIS_ISA_EXT_AVX_VNNI: return __builtin_cpu_supports("avxvnni");
        case ZYDIS_ISA_EXT_BASE:
        case ZYDIS_ISA_EXT_LONGMODE:
        case ZYDIS_ISA_EXT_PAUSE:
        case ZYDIS_ISA_EXT_CLFSH:
        case ZYDIS_ISA_EXT_X87:
        case ZYDIS_ISA_EXT_MMX:
        case ZYDIS_ISA_EXT_SSE:
        case ZYDIS_ISA_EXT_SSE2: return true;
        case ZYDIS_ISA_EXT_SSE3: return __builtin_cpu_supports("sse3");
        case ZYDIS_ISA_EXT_SSSE3: return __builtin_cpu_supports("ssse3");
        case ZYDIS_ISA_EXT_SSE4: return __builtin_cpu_supports("sse4.2");
        case ZYDIS_ISA_EXT_AES: return __builtin_cpu_supports("aes");
        case ZYDIS_ISA_EXT_PCLMULQDQ: return __builtin_cpu_supports("pclmul");
        case ZYDIS_ISA_EXT_SHA: return __builtin_cpu_supports("sha");
        case ZYDIS_ISA_EXT_AVX: return __builtin_cpu_supports("avx");
        case ZYDIS_ISA_EXT_AVXAES: return __builtin_cpu_supports("avx") && __builtin_cpu_supports("aes");
        case ZYDIS_ISA_EXT_AVX2GATHER:
        case ZYDIS_ISA_EXT_AVX2: return __builtin_cpu_supports("avx2");
        case ZYDIS_ISA_EXT_FMA: return __builtin_cpu_supports("fma");
        case ZYDIS_ISA_EXT_F16C: return __builtin_cpu_supports("f16c");
        case ZYDIS_ISA_EXT_BMI1: return __builtin_cpu_supports("bmi");
        case ZYDIS_ISA_EXT_BMI2: return __builtin_cpu_supports("bmi2");
        case ZYDIS_ISA_EXT_ADOX_ADCX: return __builtin_cpu_supports("adx");
        case ZYDIS_ISA_EXT_LZCNT: return __builtin_cpu_supports("lzcnt");
        case ZYDIS_ISA_EXT_MOVBE: return __builtin_cpu_supports("movbe");
        default: return false;
    }
}

/// Not a function of the operands, or dangerous for the process that runs it.
bool is_untestable(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_RDTSC:
        case ZYDIS_MNEMONIC_RDPMC:
        case ZYDIS_MNEMONIC_INT:
        case ZYDIS_MNEMONIC_INT1:
        case ZYDIS_MNEMONIC_LAR: // these read the kernel's own tables
        case ZYDIS_MNEMONIC_LSL:
        case ZYDIS_MNEMONIC_VERR:
        case ZYDIS_MNEMONIC_VERW:
        case ZYDIS_MNEMONIC_SGDT:
        case ZYDIS_MNEMONIC_SIDT:
        case ZYDIS_MNEMONIC_SLDT:
        case ZYDIS_MNEMONIC_STR:
        case ZYDIS_MNEMONIC_SMSW:
        case ZYDIS_MNEMONIC_LDS:
        case ZYDIS_MNEMONIC_LES:
        case ZYDIS_MNEMONIC_LFS:
        case ZYDIS_MNEMONIC_LGS:
        case ZYDIS_MNEMONIC_LSS:
        case ZYDIS_MNEMONIC_IRET:
        case ZYDIS_MNEMONIC_IRETD:
        case ZYDIS_MNEMONIC_IRETQ:
        case ZYDIS_MNEMONIC_RSM:
        case ZYDIS_MNEMONIC_SALC: return true;
        default: return false;
    }
}

bool touches_segment_register(const Decoded& d) {
    for (unsigned n = 0; n < d.info.operand_count_visible; ++n) {
        const auto& o = d.operands[n];
        if (o.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        const auto kind = ZydisRegisterGetClass(o.reg.value);
        if (kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG || kind == ZYDIS_REGCLASS_TEST) return true;
        if (kind != ZYDIS_REGCLASS_SEGMENT) continue;
        if ((o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) return true;
    }
    return false;
}

/// Where processors differ and Zydis sides with Intel's: 0F 0D with a register is #UD on AMD's.
bool is_reserved_hint(const Decoded& d) {
    return d.info.mnemonic == ZYDIS_MNEMONIC_NOP && d.info.opcode_map == ZYDIS_OPCODE_MAP_0F && d.info.opcode == 0x0D;
}

bool is_testable(const Decoded& d) {
    if (is_reserved_hint(d)) return false;
    if (!is_tested_extension(d) || is_untestable(d.info.mnemonic)) return false;
    if (d.info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return false;
    const auto category = d.info.meta.category;
    if (category == ZYDIS_CATEGORY_SYSCALL || category == ZYDIS_CATEGORY_SYSRET) return false;
    // A 16-bit branch target in 64-bit mode is where vendors and decoders disagree.
    const bool branch = d.info.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || category == ZYDIS_CATEGORY_RET;
    if (branch && (d.info.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0) return false;
    return !touches_segment_register(d);
}

std::string operand_key(const ZydisDecodedOperand& o) {
    switch (o.type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            if (o.visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT) return ZydisRegisterGetString(o.reg.value);
            return ZydisRegisterClassGetWidth(ZYDIS_MACHINE_MODE_LONG_64, ZydisRegisterGetClass(o.reg.value)) == 0
                       ? "sys"
                       : "r" + std::to_string(static_cast<int>(ZydisRegisterGetClass(o.reg.value))) + "." +
                             std::to_string(o.size);
        case ZYDIS_OPERAND_TYPE_MEMORY:
            return (o.mem.type == ZYDIS_MEMOP_TYPE_AGEN   ? "a"
                    : o.mem.type == ZYDIS_MEMOP_TYPE_VSIB ? "v"
                                                          : "m") +
                   std::to_string(o.size);
        case ZYDIS_OPERAND_TYPE_IMMEDIATE: return "i" + std::to_string(o.size);
        default: return "p";
    }
}

/// Adds what one combination of prefixes and opcode decodes to.
void add_opcode(Encoding e, std::map<std::string, Form>& forms) {
    const auto add = [&](std::uint8_t modrm) {
        e.modrm = modrm;
        e.memory = modrm < 0xC0;
        Decoded d;
        if (!decode(e.compat, plain_bytes(e), d)) return true;
        e.has_modrm = (d.info.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
        if (e.lock && (d.info.attributes & ZYDIS_ATTRIB_HAS_LOCK) == 0) return e.has_modrm;
        if (is_testable(d)) forms.try_emplace(form_key(d), Form{e, form_key(d)});
        return e.has_modrm;
    };
    e.has_modrm = true;
    for (unsigned reg = 0; reg < 8; ++reg) {
        if (!add(static_cast<std::uint8_t>(reg << 3 | 3))) return; // [RBX], or no ModRM at all
        e.has_modrm = true;
        if (e.may_have_vector_index()) add(static_cast<std::uint8_t>(reg << 3 | 4)); // VSIB
        e.has_modrm = true;
    }
    for (unsigned modrm = 0xC0; modrm < 0x100; ++modrm) {
        e.has_modrm = true;
        add(static_cast<std::uint8_t>(modrm));
    }
}

bool is_prefix_or_escape(const Encoding& e) {
    if (e.map != 0) return false;
    constexpr std::array<std::uint8_t, 13> kBytes = {0x0F, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
                                                     0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x62};
    if (std::find(kBytes.begin(), kBytes.end(), e.opcode) != kBytes.end()) return true;
    if (e.opcode == 0xC4 || e.opcode == 0xC5) return true; // VEX, or LES and LDS
    return !e.compat && e.opcode >= 0x40 && e.opcode <= 0x4F;
}

void add_legacy(bool compat, std::map<std::string, Form>& forms) {
    for (unsigned variant = 0; variant < 2 * 3 * 2 * 2 * 4; ++variant) {
        Encoding e;
        e.compat = compat;
        e.operand_size = (variant & 1) != 0;
        e.wide = (variant & 2) != 0;
        e.lock = (variant & 4) != 0;
        constexpr std::array<std::uint8_t, 3> kRepeat = {0, 0xF2, 0xF3};
        e.repeat = kRepeat[variant / 8 % 3];
        e.map = static_cast<std::uint8_t>(variant / 24);
        if ((compat && e.wide) || (e.lock && e.repeat != 0) || (e.wide && e.operand_size && e.map == 0)) continue;
        for (unsigned opcode = 0; opcode < 256; ++opcode) {
            e.opcode = static_cast<std::uint8_t>(opcode);
            const bool escape = e.map == 1 && (opcode == 0x38 || opcode == 0x3A || opcode == 0x0F);
            if (!escape && !is_prefix_or_escape(e)) add_opcode(e, forms);
        }
    }
}

void add_opcodes(Encoding e, std::map<std::string, Form>& forms) {
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        e.opcode = static_cast<std::uint8_t>(opcode);
        add_opcode(e, forms);
    }
}

void add_vex(bool compat, std::map<std::string, Form>& forms) {
    for (unsigned variant = 0; variant < 3 * 4 * 2 * 2; ++variant) {
        Encoding e;
        e.compat = compat;
        e.vex = true;
        e.vex_pp = variant & 3;
        e.vex_long = (variant & 4) != 0;
        e.wide = (variant & 8) != 0;
        e.map = static_cast<std::uint8_t>(1 + variant / 16);
        add_opcodes(e, forms);
    }
}

void add_evex(bool compat, std::map<std::string, Form>& forms) {
    for (unsigned variant = 0; variant < 3 * 4 * 2 * 2 * 4; ++variant) {
        Encoding e;
        e.compat = compat;
        e.evex = true;
        e.vex_pp = variant & 3;
        e.wide = (variant & 4) != 0;
        e.evex_b = (variant & 8) != 0;
        e.evex_length = variant >> 4 & 3;
        e.map = static_cast<std::uint8_t>(1 + variant / 64);
        add_opcodes(e, forms);
    }
}

} // namespace

bool decode(bool compat, const std::vector<std::uint8_t>& bytes, Decoded& decoded) {
    static const auto make = [](ZydisMachineMode mode, ZydisStackWidth width) {
        ZydisDecoder decoder;
        ZydisDecoderInit(&decoder, mode, width);
        return decoder;
    };
    static const ZydisDecoder k64 = make(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    static const ZydisDecoder k32 = make(ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(compat ? &k32 : &k64, bytes.data(), bytes.size(), &decoded.info,
                                               decoded.operands.data()));
}

std::string form_key(const Decoded& d) {
    std::string key = d.info.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 ? "64 " : "32 ";
    if ((d.info.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) key += "lock ";
    if ((d.info.attributes & ZYDIS_ATTRIB_HAS_REP) != 0) key += "rep ";
    if ((d.info.attributes & ZYDIS_ATTRIB_HAS_REPE) != 0) key += "repe ";
    if ((d.info.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0) key += "repne ";
    key += ZydisMnemonicGetString(d.info.mnemonic);
    if (d.info.operand_count_visible == 0) key += " w" + std::to_string(d.info.operand_width);
    for (unsigned n = 0; n < d.info.operand_count_visible; ++n) key += " " + operand_key(d.operands[n]);
    if (d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) key += " vex";
    if (d.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
        key += fmt::format(" evex{}", d.info.avx.vector_length);
        if (d.info.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID) key += " broadcast";
        if (d.info.avx.rounding.mode != ZYDIS_ROUNDING_MODE_INVALID)
            key += fmt::format(" rounds{}", static_cast<int>(d.info.avx.rounding.mode));
        else if (d.info.avx.has_sae != ZYAN_FALSE)
            key += " sae";
    }
    key += " /" + std::to_string(static_cast<int>(d.info.opcode_map)) + "." + std::to_string(d.info.opcode);
    return key;
}

std::vector<Form> enumerate_forms() {
    std::map<std::string, Form> by_key;
    for (const bool compat : {false, true}) {
        add_legacy(compat, by_key);
        add_vex(compat, by_key);
        if (cpu::interpreter::host_has_avx512()) add_evex(compat, by_key);
    }
    std::vector<Form> forms;
    forms.reserve(by_key.size());
    for (auto& [key, form] : by_key) forms.push_back(std::move(form));
    return forms;
}

} // namespace touka::tests::instructions
