// Handlers of instructions that change one operand: INC, DEC, NEG, NOT.
#pragma once

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {

/// An operation O has
///   static T apply(T, StatusFlags&): the host's instruction on a value;
///   static void apply_locked<T>(std::byte*, StatusFlags&): the same with LOCK on RAM.
template <class O, class T>
Link* one_register(Processor& p, const Op* op) {
    set<T>(p, op->reg, O::apply(get<T>(p, op->reg), p.regs.status));
    return next(p, op);
}

template <class O, class T, Path path = Path::kQuick>
[[gnu::noinline]] Link* one_memory(Processor& p, const Op* op) {
    if constexpr (path == Path::kQuick) {
        const QuickWrite write = quick_write(p, op, sizeof(T));
        if (write.host == nullptr) [[unlikely]]
            return one_memory<O, T, Path::kFull>(p, op);
        host::store<T>(write.host, O::apply(host::load<T>(write.host), p.regs.status));
        return next_after_write(p, op, write);
    } else {
        std::byte* host = open_operand(p, linear_address(p, op, sizeof(T), true), sizeof(T), op->access);
        if (host == nullptr) return stop(p, op);
        host::store<T>(host, O::apply(host::load<T>(host), p.regs.status));
        close_operand(p, host);
        return next(p, op);
    }
}

template <class O, class T>
Link* one_locked_memory(Processor& p, const Op* op) {
    std::byte* host = open_operand(p, linear_address(p, op, sizeof(T), true), sizeof(T), op->access | access::kLocked);
    if (host == nullptr) [[unlikely]]
        return stop(p, op);
    O::template apply_locked<T>(host, p.regs.status);
    close_operand(p, host);
    return next(p, op);
}

template <class O>
bool build_one_operand(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if (form == Form::kRegister) return &one_register<O, T>;
        if (form != Form::kMemory) return nullptr;
        return draft.has_lock() ? &one_locked_memory<O, T> : &one_memory<O, T>;
    });
    return draft.op.handler != nullptr;
}

} // namespace touka::cpu::interpreter
