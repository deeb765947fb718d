// Handlers of instructions that combine a destination with a source: ADD, AND, CMP and their like.
#pragma once

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {

/// An operation O has
///   static constexpr bool kWrites: is the destination written?
///   static T apply(T destination, T source, StatusFlags&): the host's instruction on values;
///   static void apply_locked(std::byte*, T source, StatusFlags&): the same with LOCK on RAM (when kWrites).
template <class O, class T>
Link* register_register(Processor& p, const Op* op) {
    const T result = O::apply(get<T>(p, op->reg), get<T>(p, op->reg2), p.regs.status);
    if constexpr (O::kWrites) set<T>(p, op->reg, result);
    return next(p, op);
}

template <class O, class T>
Link* register_immediate(Processor& p, const Op* op) {
    const T result = O::apply(get<T>(p, op->reg), immediate<T>(op), p.regs.status);
    if constexpr (O::kWrites) set<T>(p, op->reg, result);
    return next(p, op);
}

template <class O, class T, Path path = Path::kQuick>
[[gnu::noinline]] Link* register_memory(Processor& p, const Op* op) {
    T source;
    if constexpr (path == Path::kQuick) {
        std::byte* host = quick_read(p, op, sizeof(T));
        if (host == nullptr) [[unlikely]]
            return register_memory<O, T, Path::kFull>(p, op);
        source = host::load<T>(host);
    } else {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        source = loaded.value;
    }
    const T result = O::apply(get<T>(p, op->reg), source, p.regs.status);
    if constexpr (O::kWrites) set<T>(p, op->reg, result);
    return next(p, op);
}

/// Only reads the destination in memory: CMP and TEST.
template <class O, class T, bool Immediate, Path path = Path::kQuick>
[[gnu::noinline]] Link* compare_memory(Processor& p, const Op* op) {
    T destination;
    if constexpr (path == Path::kQuick) {
        std::byte* host = quick_read(p, op, sizeof(T));
        if (host == nullptr) [[unlikely]]
            return compare_memory<O, T, Immediate, Path::kFull>(p, op);
        destination = host::load<T>(host);
    } else {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        destination = loaded.value;
    }
    (void)O::apply(destination, Immediate ? immediate<T>(op) : get<T>(p, op->reg), p.regs.status);
    return next(p, op);
}

template <class O, class T, bool Immediate, Path path = Path::kQuick>
[[gnu::noinline]] Link* change_memory(Processor& p, const Op* op) {
    const T source = Immediate ? immediate<T>(op) : get<T>(p, op->reg);
    if constexpr (path == Path::kQuick) {
        const QuickWrite write = quick_write(p, op, sizeof(T));
        if (write.host == nullptr) [[unlikely]]
            return change_memory<O, T, Immediate, Path::kFull>(p, op);
        host::store<T>(write.host, O::apply(host::load<T>(write.host), source, p.regs.status));
        return next_after_write(p, op, write);
    } else {
        std::byte* host = open_operand(p, linear_address(p, op, sizeof(T), true), sizeof(T), op->access);
        if (host == nullptr) return stop(p, op);
        host::store<T>(host, O::apply(host::load<T>(host), source, p.regs.status));
        close_operand(p, host);
        return next(p, op);
    }
}

template <class O, class T, bool Immediate>
Link* locked_memory_source(Processor& p, const Op* op) {
    const T source = Immediate ? immediate<T>(op) : get<T>(p, op->reg);
    const std::uint64_t linear = linear_address(p, op, sizeof(T), true);
    std::byte* host = open_operand(p, linear, sizeof(T), op->access | access::kLocked);
    if (host == nullptr) [[unlikely]]
        return stop(p, op);
    O::apply_locked(host, source, p.regs.status);
    close_operand(p, host);
    return next(p, op);
}

template <class O, class T, bool Immediate>
Handler memory_handler(bool locked) {
    if constexpr (!O::kWrites) {
        return &compare_memory<O, T, Immediate>;
    } else {
        return locked ? &locked_memory_source<O, T, Immediate> : &change_memory<O, T, Immediate>;
    }
}

template <class O>
bool build_two_operand(Draft& draft) {
    const Form form = set_operands(draft);
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        switch (form) {
            case Form::kRegisterRegister: return &register_register<O, T>;
            case Form::kRegisterImmediate: return &register_immediate<O, T>;
            case Form::kRegisterMemory: return &register_memory<O, T>;
            case Form::kMemoryRegister: return memory_handler<O, T, false>(draft.has_lock());
            case Form::kMemoryImmediate: return memory_handler<O, T, true>(draft.has_lock());
            default: return nullptr;
        }
    });
    return draft.op.handler != nullptr;
}

} // namespace touka::cpu::interpreter
