#include "cpu/interpreter/masked_move.hpp"

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/operand_block.hpp"
#include "cpu/interpreter/vector_element.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

namespace fxsave = spec::x86::fxsave;

namespace {

/// The two instructions that have elements of eight bytes.
bool has_wide_elements(ZydisMnemonic mnemonic) {
    return mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD || mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ;
}

/// MMX register n, from the image. @pre TOP is zero.
std::uint64_t mmx_register(const RegisterFile& regs, std::size_t n) {
    std::uint64_t value = 0;
    std::memcpy(&value, regs.legacy.data() + fxsave::kRegisters + n * fxsave::kRegisterStride, sizeof(value));
    return value;
}

bool store_chosen_bytes(Processor& p, std::uint64_t linear, const YmmBytes& data, const YmmBytes& mask,
                        std::size_t length_bytes) {
    // As on AMD's processors, all of the operand must be writable, whichever bytes are chosen.
    if (!probe_block(p, linear, length_bytes, true)) return false;
    for (std::size_t n = 0; n < length_bytes; ++n) {
        if (is_chosen(mask, n, 1) && !write_linear(p, linear + n, data[n])) return false;
    }
    return true;
}

} // namespace

Outcome execute_masked_move(Processor& p, const Instruction& i) {
    if (!check_available(p, RegisterSet::kAvx)) return Outcome::kFault;
    const std::size_t memory = memory_operand_index(i), width = has_wide_elements(i.info.mnemonic) ? 8 : 4;
    const std::size_t length = i.operands[memory].size / 8u, count = length / width;
    const bool stores = memory == 0;
    const std::uint8_t access = stack_access(i, memory);
    const YmmBytes mask = vector_operand(p, i, 1);
    std::uint64_t linear = 0;
    if (!operand_address(p, i, memory, length, stores, linear)) return Outcome::kFault;
    if (!stores) {
        YmmBytes result{};
        for (std::size_t n = 0; n < count; ++n) {
            if (!is_chosen(mask, n, width)) continue;
            std::uint64_t value = 0;
            if (!load_element(p, linear + n * width, width, access, value)) return Outcome::kFault;
            set_element(result, n, width, value);
        }
        vector_operand(p, i, 0) = result;
        clear_hi256(p, i, 0);
        return Outcome::kNext;
    }
    const YmmBytes& data = vector_operand(p, i, 2);
    for (std::size_t n = 0; n < count; ++n) {
        if (is_chosen(mask, n, width) && !probe_block(p, linear + n * width, width, true, access))
            return Outcome::kFault;
    }
    for (std::size_t n = 0; n < count; ++n) {
        if (!is_chosen(mask, n, width)) continue;
        if (!store_element(p, linear + n * width, width, access, get_element(data, n, width))) return Outcome::kFault;
    }
    return Outcome::kNext;
}

Outcome execute_masked_byte_store(Processor& p, const Instruction& i) {
    const bool mmx = i.info.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;
    const bool vex = i.info.mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU;
    if (!check_available(p, mmx ? RegisterSet::kMmx : vex ? RegisterSet::kAvx : RegisterSet::kSse)) {
        return Outcome::kFault;
    }
    const std::size_t length = mmx ? 8 : 16;
    std::uint64_t linear = 0;
    if (!mmx) {
        if (!operand_address(p, i, memory_operand_index(i), length, true, linear)) return Outcome::kFault;
        const bool stored = store_chosen_bytes(p, linear, vector_operand(p, i, 0), vector_operand(p, i, 1), length);
        return stored ? Outcome::kNext : Outcome::kFault;
    }
    spill_x87(p.regs);
    if (x87_exception_pending(p.regs)) {
        p.raise(Exception::kX87);
        return Outcome::kFault;
    }
    if (!operand_address(p, i, memory_operand_index(i), length, true, linear)) return Outcome::kFault;
    // As on AMD's processors, the registers are MMX's even when the store faults.
    enter_mmx(p.regs);
    YmmBytes data{}, mask{};
    set_element(data, 0, 8, mmx_register(p.regs, register_number(i, 0) & 7));
    set_element(mask, 0, 8, mmx_register(p.regs, register_number(i, 1) & 7));
    return store_chosen_bytes(p, linear, data, mask, length) ? Outcome::kNext : Outcome::kFault;
}

} // namespace touka::cpu::interpreter
