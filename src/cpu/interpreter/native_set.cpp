#include "cpu/interpreter/native_set.hpp"

#include "cpu/interpreter/data_instruction.hpp"
#include "cpu/interpreter/host_avx512.hpp"

namespace touka::cpu::interpreter {
namespace {

/// Is the part of AVX-512 one that we run, and does the host have it? Not FP16, which none of our hosts has shown, and
/// what only Xeon Phi has.
bool is_host_avx512(ZydisISASet set) {
    if (!host_has_avx512()) return false;
    switch (set) {
        case ZYDIS_ISA_SET_AVX512F_128:
        case ZYDIS_ISA_SET_AVX512F_128N:
        case ZYDIS_ISA_SET_AVX512F_256:
        case ZYDIS_ISA_SET_AVX512F_512:
        case ZYDIS_ISA_SET_AVX512F_SCALAR:
        case ZYDIS_ISA_SET_AVX512F_KOP:
        case ZYDIS_ISA_SET_AVX512BW_128:
        case ZYDIS_ISA_SET_AVX512BW_128N:
        case ZYDIS_ISA_SET_AVX512BW_256:
        case ZYDIS_ISA_SET_AVX512BW_512:
        case ZYDIS_ISA_SET_AVX512BW_KOP:
        case ZYDIS_ISA_SET_AVX512CD_128:
        case ZYDIS_ISA_SET_AVX512CD_256:
        case ZYDIS_ISA_SET_AVX512CD_512:
        case ZYDIS_ISA_SET_AVX512DQ_128:
        case ZYDIS_ISA_SET_AVX512DQ_128N:
        case ZYDIS_ISA_SET_AVX512DQ_256:
        case ZYDIS_ISA_SET_AVX512DQ_512:
        case ZYDIS_ISA_SET_AVX512DQ_KOP:
        case ZYDIS_ISA_SET_AVX512DQ_SCALAR: return true;
        case ZYDIS_ISA_SET_AVX512_BF16_128:
        case ZYDIS_ISA_SET_AVX512_BF16_256:
        case ZYDIS_ISA_SET_AVX512_BF16_512: return __builtin_cpu_supports("avx512bf16");
        case ZYDIS_ISA_SET_AVX512_BITALG_128:
        case ZYDIS_ISA_SET_AVX512_BITALG_256:
        case ZYDIS_ISA_SET_AVX512_BITALG_512: return __builtin_cpu_supports("avx512bitalg");
        case ZYDIS_ISA_SET_AVX512_GFNI_128:
        case ZYDIS_ISA_SET_AVX512_GFNI_256:
        case ZYDIS_ISA_SET_AVX512_GFNI_512: return __builtin_cpu_supports("gfni");
        case ZYDIS_ISA_SET_AVX512_IFMA_128:
        case ZYDIS_ISA_SET_AVX512_IFMA_256:
        case ZYDIS_ISA_SET_AVX512_IFMA_512: return __builtin_cpu_supports("avx512ifma");
        case ZYDIS_ISA_SET_AVX512_VAES_128:
        case ZYDIS_ISA_SET_AVX512_VAES_256:
        case ZYDIS_ISA_SET_AVX512_VAES_512: return __builtin_cpu_supports("vaes");
        case ZYDIS_ISA_SET_AVX512_VBMI_128:
        case ZYDIS_ISA_SET_AVX512_VBMI_256:
        case ZYDIS_ISA_SET_AVX512_VBMI_512: return __builtin_cpu_supports("avx512vbmi");
        case ZYDIS_ISA_SET_AVX512_VBMI2_128:
        case ZYDIS_ISA_SET_AVX512_VBMI2_256:
        case ZYDIS_ISA_SET_AVX512_VBMI2_512: return __builtin_cpu_supports("avx512vbmi2");
        case ZYDIS_ISA_SET_AVX512_VNNI_128:
        case ZYDIS_ISA_SET_AVX512_VNNI_256:
        case ZYDIS_ISA_SET_AVX512_VNNI_512: return __builtin_cpu_supports("avx512vnni");
        case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128:
        case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256:
        case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512: return __builtin_cpu_supports("avx512vp2intersect");
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512: return __builtin_cpu_supports("vpclmulqdq");
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256:
        case ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512: return __builtin_cpu_supports("avx512vpopcntdq");
        default: return false;
    }
}

/// Is the instruction set extension one that we run, and does the host have it?
bool is_host_extension(ZydisISAExt extension) {
    switch (extension) {
        case ZYDIS_ISA_EXT_X87:
        case ZYDIS_ISA_EXT_MMX:
        case ZYDIS_ISA_EXT_SSE:
        case ZYDIS_ISA_EXT_SSE2: return true;
        case ZYDIS_ISA_EXT_SSE3: return __builtin_cpu_supports("sse3");
        case ZYDIS_ISA_EXT_SSSE3: return __builtin_cpu_supports("ssse3");
        case ZYDIS_ISA_EXT_SSE4: return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
        case ZYDIS_ISA_EXT_AES: return __builtin_cpu_supports("aes");
        case ZYDIS_ISA_EXT_PCLMULQDQ: return __builtin_cpu_supports("pclmul");
        case ZYDIS_ISA_EXT_SHA: return __builtin_cpu_supports("sha");
        case ZYDIS_ISA_EXT_AVX: return __builtin_cpu_supports("avx") && __builtin_cpu_supports("pclmul");
        case ZYDIS_ISA_EXT_AVXAES: return __builtin_cpu_supports("avx") && __builtin_cpu_supports("aes");
        case ZYDIS_ISA_EXT_AVX2: return __builtin_cpu_supports("avx2");
        case ZYDIS_ISA_EXT_FMA: return __builtin_cpu_supports("fma");
        case ZYDIS_ISA_EXT_F16C: return __builtin_cpu_supports("f16c");
        case ZYDIS_ISA_EXT_BMI1: return __builtin_cpu_supports("bmi");
        case ZYDIS_ISA_EXT_BMI2: return __builtin_cpu_supports("bmi2");
        case ZYDIS_ISA_EXT_ADOX_ADCX: return __builtin_cpu_supports("adx");
        case ZYDIS_ISA_EXT_LZCNT: return __builtin_cpu_supports("lzcnt");
        case ZYDIS_ISA_EXT_MOVBE: return __builtin_cpu_supports("movbe");
        case ZYDIS_ISA_EXT_GFNI: return __builtin_cpu_supports("gfni");
        case ZYDIS_ISA_EXT_VAES: return __builtin_cpu_supports("vaes");
        case ZYDIS_ISA_EXT_VPCLMULQDQ: return __builtin_cpu_supports("vpclmulqdq");
        case ZYDIS_ISA_EXT_AVX_VNNI: return __builtin_cpu_supports("avxvnni");
        default: return false;
    }
}

} // namespace

bool is_native(const Instruction& i) {
    const auto encoding = i.info.encoding;
    if (encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && encoding != ZYDIS_INSTRUCTION_ENCODING_VEX &&
        encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX)
        return false;
    if ((i.info.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return false;
    const bool there = is_avx512(i) ? is_host_avx512(i.info.meta.isa_set) : is_host_extension(i.info.meta.isa_ext);
    return there && find_data_instruction(i.info.mnemonic) == nullptr;
}

bool is_avx512(const Instruction& i) {
    return i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX || i.info.meta.isa_ext == ZYDIS_ISA_EXT_AVX512VEX;
}

bool is_x87_opcode(const Instruction& i) {
    if (i.info.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || i.info.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        return false;
    }
    return (i.info.opcode >= 0xD8 && i.info.opcode <= 0xDF) || i.info.mnemonic == ZYDIS_MNEMONIC_FWAIT;
}

RegisterSet registers_needed(const Instruction& i, bool vectors, bool x87_or_mmx) {
    if (i.info.mnemonic == ZYDIS_MNEMONIC_FWAIT) return RegisterSet::kX87Wait;
    if (is_x87_opcode(i)) return RegisterSet::kX87;
    if (is_avx512(i)) return RegisterSet::kAvx512;
    const bool vex = i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
    if (vectors) return vex ? RegisterSet::kAvx : RegisterSet::kSse;
    if (x87_or_mmx) return RegisterSet::kMmx;
    return vex ? RegisterSet::kGeneralVex : RegisterSet::kGeneral;
}

bool is_under_mxcsr(const Instruction& i) {
    switch (i.info.mnemonic) {
        case ZYDIS_MNEMONIC_CVTPI2PS:
        case ZYDIS_MNEMONIC_CVTPS2PI:
        case ZYDIS_MNEMONIC_CVTTPS2PI:
        case ZYDIS_MNEMONIC_CVTPD2PI:
        case ZYDIS_MNEMONIC_CVTTPD2PI:
        // They raise nothing, but take denormals as MXCSR.DAZ says.
        case ZYDIS_MNEMONIC_VFPCLASSPD:
        case ZYDIS_MNEMONIC_VFPCLASSPS:
        case ZYDIS_MNEMONIC_VFPCLASSSD:
        case ZYDIS_MNEMONIC_VFPCLASSSS:
        case ZYDIS_MNEMONIC_VRCP14PD:
        case ZYDIS_MNEMONIC_VRCP14PS:
        case ZYDIS_MNEMONIC_VRCP14SD:
        case ZYDIS_MNEMONIC_VRCP14SS:
        case ZYDIS_MNEMONIC_VRSQRT14PD:
        case ZYDIS_MNEMONIC_VRSQRT14PS:
        case ZYDIS_MNEMONIC_VRSQRT14SD:
        case ZYDIS_MNEMONIC_VRSQRT14SS: return true;
        default: break;
    }
    switch (i.info.meta.exception_class) {
        case ZYDIS_EXCEPTION_CLASS_SSE2:
        case ZYDIS_EXCEPTION_CLASS_SSE3:
        case ZYDIS_EXCEPTION_CLASS_AVX2:
        case ZYDIS_EXCEPTION_CLASS_AVX3:
        case ZYDIS_EXCEPTION_CLASS_AVX11:
        case ZYDIS_EXCEPTION_CLASS_E2:
        case ZYDIS_EXCEPTION_CLASS_E2NF:
        case ZYDIS_EXCEPTION_CLASS_E3:
        case ZYDIS_EXCEPTION_CLASS_E3NF:
        case ZYDIS_EXCEPTION_CLASS_E11:
        case ZYDIS_EXCEPTION_CLASS_E11NF: return true;
        default: return false;
    }
}

std::uint8_t required_alignment(const Instruction& i, std::uint8_t memory_bytes) {
    switch (i.info.mnemonic) {
        case ZYDIS_MNEMONIC_VMOVAPS:
        case ZYDIS_MNEMONIC_VMOVAPD:
        case ZYDIS_MNEMONIC_VMOVDQA:
        case ZYDIS_MNEMONIC_VMOVDQA32:
        case ZYDIS_MNEMONIC_VMOVDQA64:
        case ZYDIS_MNEMONIC_VMOVNTPS:
        case ZYDIS_MNEMONIC_VMOVNTPD:
        case ZYDIS_MNEMONIC_VMOVNTDQ:
        case ZYDIS_MNEMONIC_VMOVNTDQA: return memory_bytes;
        case ZYDIS_MNEMONIC_SHA1MSG1:
        case ZYDIS_MNEMONIC_SHA1MSG2:
        case ZYDIS_MNEMONIC_SHA1NEXTE:
        case ZYDIS_MNEMONIC_SHA1RNDS4:
        case ZYDIS_MNEMONIC_SHA256MSG1:
        case ZYDIS_MNEMONIC_SHA256MSG2:
        case ZYDIS_MNEMONIC_SHA256RNDS2: return __builtin_cpu_is("amd") ? 1 : 16; // AMD's do not look (Zen 4, measured)
        case ZYDIS_MNEMONIC_MOVUPS:
        case ZYDIS_MNEMONIC_MOVUPD:
        case ZYDIS_MNEMONIC_MOVDQU:
        case ZYDIS_MNEMONIC_LDDQU:
        case ZYDIS_MNEMONIC_PCMPESTRI:
        case ZYDIS_MNEMONIC_PCMPESTRM:
        case ZYDIS_MNEMONIC_PCMPISTRI:
        case ZYDIS_MNEMONIC_PCMPISTRM: return 1;
        default: break;
    }
    const bool legacy = i.info.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
    return legacy && memory_bytes == 16 ? std::uint8_t{16} : std::uint8_t{1};
}

bool is_sized_by_operand(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_POPCNT:
        case ZYDIS_MNEMONIC_LZCNT:
        case ZYDIS_MNEMONIC_TZCNT:
        case ZYDIS_MNEMONIC_MOVBE:
        case ZYDIS_MNEMONIC_CRC32:
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FLDENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_FRSTOR: return true;
        default: return false;
    }
}

} // namespace touka::cpu::interpreter
