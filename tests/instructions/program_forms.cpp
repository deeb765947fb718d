#include "instructions/program_forms.hpp"

#include "instructions/encoding.hpp"

namespace touka::tests::instructions {
namespace {

bool is_bit_string(const Decoded& d) {
    return d.info.meta.category == ZYDIS_CATEGORY_BITBYTE && d.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
           d.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

} // namespace

bool is_for_programs(const Decoded& d) {
    switch (d.info.meta.category) {
        case ZYDIS_CATEGORY_CALL:
        case ZYDIS_CATEGORY_RET:
        case ZYDIS_CATEGORY_COND_BR:
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_SYSRET:
        case ZYDIS_CATEGORY_SYSTEM:
        case ZYDIS_CATEGORY_IO:
        case ZYDIS_CATEGORY_IOSTRINGOP:
        case ZYDIS_CATEGORY_STRINGOP:
        case ZYDIS_CATEGORY_PUSH:
        case ZYDIS_CATEGORY_POP:
        case ZYDIS_CATEGORY_XSAVE:
        case ZYDIS_CATEGORY_XSAVEOPT:
        case ZYDIS_CATEGORY_SEGOP:
        case ZYDIS_CATEGORY_DECIMAL: return false;
        default: break;
    }
    switch (d.info.mnemonic) {
        case ZYDIS_MNEMONIC_ENTER:
        case ZYDIS_MNEMONIC_LEAVE:
        case ZYDIS_MNEMONIC_XLAT:
        case ZYDIS_MNEMONIC_CLI:
        case ZYDIS_MNEMONIC_STI:
        case ZYDIS_MNEMONIC_STD:
        case ZYDIS_MNEMONIC_UD0:
        case ZYDIS_MNEMONIC_UD1:
        case ZYDIS_MNEMONIC_UD2:
        case ZYDIS_MNEMONIC_LDMXCSR:
        case ZYDIS_MNEMONIC_VLDMXCSR:
        case ZYDIS_MNEMONIC_FXSAVE:
        case ZYDIS_MNEMONIC_FXSAVE64:
        case ZYDIS_MNEMONIC_FXRSTOR:
        case ZYDIS_MNEMONIC_FXRSTOR64:
        // Where x87 exceptions become unmasked, and what the host's pointers are.
        case ZYDIS_MNEMONIC_FLDCW:
        case ZYDIS_MNEMONIC_FLDENV:
        case ZYDIS_MNEMONIC_FRSTOR:
        case ZYDIS_MNEMONIC_FNSTENV:
        case ZYDIS_MNEMONIC_FNSAVE:
        case ZYDIS_MNEMONIC_MASKMOVQ:
        case ZYDIS_MNEMONIC_MASKMOVDQU:
        case ZYDIS_MNEMONIC_VMASKMOVDQU: return false;
        default: break;
    }
    for (std::size_t n = 0; n < d.info.operand_count; ++n)
        if (d.operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY && d.operands[n].mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            return false;
    return !is_bit_string(d);
}

std::vector<Form> forms_for_programs() {
    std::vector<Form> forms = enumerate_forms();
    std::erase_if(forms, [](const Form& form) {
        Decoded d;
        return form.encoding.compat || !decode(false, plain_bytes(form.encoding), d) || !is_for_programs(d);
    });
    return forms;
}

} // namespace touka::tests::instructions
