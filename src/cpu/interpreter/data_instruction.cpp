#include "cpu/interpreter/data_instruction.hpp"

#include "cpu/interpreter/gather.hpp"
#include "cpu/interpreter/masked_move.hpp"
#include "cpu/interpreter/vector_control.hpp"
#include "cpu/interpreter/xsave.hpp"

namespace touka::cpu::interpreter {

ExecuteFunction find_data_instruction(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_VMASKMOVPS:
        case ZYDIS_MNEMONIC_VMASKMOVPD:
        case ZYDIS_MNEMONIC_VPMASKMOVD:
        case ZYDIS_MNEMONIC_VPMASKMOVQ: return execute_masked_move;
        case ZYDIS_MNEMONIC_MASKMOVQ:
        case ZYDIS_MNEMONIC_MASKMOVDQU:
        case ZYDIS_MNEMONIC_VMASKMOVDQU: return execute_masked_byte_store;
        case ZYDIS_MNEMONIC_VGATHERDPS:
        case ZYDIS_MNEMONIC_VGATHERDPD:
        case ZYDIS_MNEMONIC_VGATHERQPS:
        case ZYDIS_MNEMONIC_VGATHERQPD:
        case ZYDIS_MNEMONIC_VPGATHERDD:
        case ZYDIS_MNEMONIC_VPGATHERDQ:
        case ZYDIS_MNEMONIC_VPGATHERQD:
        case ZYDIS_MNEMONIC_VPGATHERQQ: return execute_gather;
        case ZYDIS_MNEMONIC_VSCATTERDPS:
        case ZYDIS_MNEMONIC_VSCATTERDPD:
        case ZYDIS_MNEMONIC_VSCATTERQPS:
        case ZYDIS_MNEMONIC_VSCATTERQPD:
        case ZYDIS_MNEMONIC_VPSCATTERDD:
        case ZYDIS_MNEMONIC_VPSCATTERDQ:
        case ZYDIS_MNEMONIC_VPSCATTERQD:
        case ZYDIS_MNEMONIC_VPSCATTERQQ: return execute_scatter;
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_VLDMXCSR: return execute_ldmxcsr;
        case ZYDIS_MNEMONIC_STMXCSR:
        case ZYDIS_MNEMONIC_VSTMXCSR: return execute_stmxcsr;
        case ZYDIS_MNEMONIC_VZEROUPPER: return execute_vzeroupper;
        case ZYDIS_MNEMONIC_VZEROALL: return execute_vzeroall;
        case ZYDIS_MNEMONIC_FXSAVE:
        case ZYDIS_MNEMONIC_FXSAVE64: return execute_fxsave;
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64: return execute_fxrstor;
        case ZYDIS_MNEMONIC_XSAVE:
        case ZYDIS_MNEMONIC_XSAVE64:
        case ZYDIS_MNEMONIC_XSAVEOPT:
        case ZYDIS_MNEMONIC_XSAVEOPT64:
        case ZYDIS_MNEMONIC_XSAVEC:
        case ZYDIS_MNEMONIC_XSAVEC64: return execute_xsave;
        case ZYDIS_MNEMONIC_XRSTOR:
        case ZYDIS_MNEMONIC_XRSTOR64: return execute_xrstor;
        default: return nullptr;
    }
}

} // namespace touka::cpu::interpreter
