// CMOVcc and SETcc. (AMD64 APM vol. 3 rev. 3.36)

#include <utility>

#include "cpu/interpreter/condition.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"

namespace touka::cpu::interpreter {
namespace {

/// Writes the destination in any case: the upper half of a 32-bit one is cleared even when nothing is moved.
template <Condition C, class T>
Link* cmov_register(Processor& p, const Op* op) {
    set<T>(p, op->reg, get<T>(p, holds<C>(p.regs.status) ? op->reg2 : op->reg));
    return next(p, op);
}

/// The source is read, and may fault, in any case.
template <Condition C, class T>
Link* cmov_memory(Processor& p, const Op* op) {
    const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
    if (!loaded.ok) [[unlikely]]
        return stop(p, op);
    set<T>(p, op->reg, holds<C>(p.regs.status) ? loaded.value : get<T>(p, op->reg));
    return next(p, op);
}

template <Condition C>
bool build_cmov(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) return nullptr;
        return form == Form::kRegisterMemory ? &cmov_memory<C, T> : &cmov_register<C, T>;
    });
    return draft.op.handler != nullptr;
}

template <Condition C>
Link* set_register(Processor& p, const Op* op) {
    set<std::uint8_t>(p, op->reg, holds<C>(p.regs.status) ? 1 : 0);
    return next(p, op);
}

template <Condition C>
Link* set_memory_byte(Processor& p, const Op* op) {
    const std::uint8_t value = holds<C>(p.regs.status) ? 1 : 0;
    if (!store<std::uint8_t>(p, linear_address(p, op, 1, true), value, op->access)) return stop(p, op);
    return next(p, op);
}

template <Condition C>
bool build_set(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = form == Form::kRegister ? &set_register<C> : &set_memory_byte<C>;
    return true;
}

constexpr ConditionMnemonics kCmov = {
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB,  ZYDIS_MNEMONIC_CMOVNB,
    ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
    ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP,  ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE};
constexpr ConditionMnemonics kSet = {
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB,  ZYDIS_MNEMONIC_SETNB,
    ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
    ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP,  ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE};

} // namespace

void add_conditional(BuilderTable& table) {
    for_each_condition([&]<Condition C>(std::size_t i) {
        table[kCmov[i]] = &build_cmov<C>;
        table[kSet[i]] = &build_set<C>;
    });
}

} // namespace touka::cpu::interpreter
