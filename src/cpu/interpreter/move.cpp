// MOV, LEA, XLAT, LAHF and SAHF. (AMD64 APM vol. 3 rev. 3.36)

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"

namespace touka::cpu::interpreter {
namespace {

template <class T>
Link* move_register_register(Processor& p, const Op* op) {
    set<T>(p, op->reg, get<T>(p, op->reg2));
    return next(p, op);
}

template <class T>
Link* move_register_immediate(Processor& p, const Op* op) {
    set<T>(p, op->reg, immediate<T>(op));
    return next(p, op);
}

Link* move_register_immediate64(Processor& p, const Op* op) {
    set<std::uint64_t>(p, op->reg, static_cast<std::uint64_t>(op->displacement));
    return next(p, op);
}

template <class T, Path path = Path::kQuick>
[[gnu::noinline]] Link* move_register_memory(Processor& p, const Op* op) {
    if constexpr (path == Path::kQuick) {
        std::byte* host = quick_read(p, op, sizeof(T));
        if (host == nullptr) [[unlikely]]
            return move_register_memory<T, Path::kFull>(p, op);
        set<T>(p, op->reg, host::load<T>(host));
    } else {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        set<T>(p, op->reg, loaded.value);
    }
    return next(p, op);
}

template <class T, bool Immediate, Path path = Path::kQuick>
[[gnu::noinline]] Link* move_memory(Processor& p, const Op* op) {
    const T value = Immediate ? immediate<T>(op) : get<T>(p, op->reg);
    if constexpr (path == Path::kQuick) {
        const QuickWrite write = quick_write(p, op, sizeof(T));
        if (write.host == nullptr) [[unlikely]]
            return move_memory<T, Immediate, Path::kFull>(p, op);
        host::store<T>(write.host, value);
        return next_after_write(p, op, write);
    } else {
        if (!store<T>(p, linear_address(p, op, sizeof(T), true), value, op->access)) return stop(p, op);
        return next(p, op);
    }
}

bool build_mov(Draft& draft) {
    const Form form = set_operands(draft);
    const bool wide = form == Form::kRegisterImmediate && draft.operand(0).size == 64 &&
                      draft.operand(1).imm.value.s != draft.op.immediate;
    if (wide) {
        draft.op.displacement = draft.operand(1).imm.value.s;
        draft.op.handler = &move_register_immediate64;
        return true;
    }
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        switch (form) {
            case Form::kRegisterRegister: return &move_register_register<T>;
            case Form::kRegisterImmediate: return &move_register_immediate<T>;
            case Form::kRegisterMemory: return &move_register_memory<T>;
            case Form::kMemoryRegister: return &move_memory<T, false>;
            case Form::kMemoryImmediate: return &move_memory<T, true>;
            default: return nullptr; // segment, control and debug registers
        }
    });
    return draft.op.handler != nullptr;
}

template <class T>
Link* lea(Processor& p, const Op* op) {
    set<T>(p, op->reg, static_cast<T>(effective_address(p, op)));
    return next(p, op);
}

/// The address size is smaller than 64 bits.
template <class T>
Link* lea_truncated(Processor& p, const Op* op) {
    const std::uint64_t mask = op->address == address_form::k16 ? 0xFFFF : 0xFFFF'FFFF;
    set<T>(p, op->reg, static_cast<T>(effective_address(p, op) & mask));
    return next(p, op);
}

bool build_lea(Draft& draft) {
    draft.op.reg = register_offset(draft.operand(0).reg.value);
    set_memory(draft, 1);
    const bool truncated = draft.instruction.info.address_width != 64;
    draft.op.handler = by_width(draft.operand(0).size, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) return nullptr;
        return truncated ? &lea_truncated<T> : &lea<T>;
    });
    return draft.op.handler != nullptr;
}

constexpr std::uint8_t kAl = gpr_offset(Gpr::kRax), kAh = kAl + 1;

Link* xlat(Processor& p, const Op* op) {
    const std::uint64_t offset = effective_address(p, op) + get<std::uint8_t>(p, kAl);
    const std::uint64_t linear =
        op->address == address_form::kPlain ? offset : segmented_address(p, op, offset, 1, false);
    const auto loaded = load<std::uint8_t>(p, linear, op->access);
    if (!loaded.ok) return stop(p, op);
    set<std::uint8_t>(p, kAl, loaded.value);
    return next(p, op);
}

bool build_xlat(Draft& draft) {
    std::size_t index = 0;
    while (index < draft.instruction.info.operand_count && !draft.is_memory(index)) ++index;
    if (index == draft.instruction.info.operand_count) return false;
    set_memory(draft, index);
    draft.op.index = kZeroOffset; // AL, which the handler adds
    draft.op.scale = 0;
    draft.op.handler = &xlat;
    return true;
}

Link* lahf(Processor& p, const Op* op) {
    set<std::uint8_t>(p, kAh, static_cast<std::uint8_t>(p.regs.status.packed >> 8));
    return next(p, op);
}

Link* sahf(Processor& p, const Op* op) {
    const std::uint64_t overflow = p.regs.status.to_rflags() & spec::x86::rflags::OF;
    p.regs.status = StatusFlags::from_rflags(get<std::uint8_t>(p, kAh) | overflow);
    return next(p, op);
}

} // namespace

void add_move(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_MOV] = &build_mov;
    table[ZYDIS_MNEMONIC_MOVNTI] = &build_mov;
    table[ZYDIS_MNEMONIC_LEA] = &build_lea;
    table[ZYDIS_MNEMONIC_XLAT] = &build_xlat;
    table[ZYDIS_MNEMONIC_LAHF] = &build_plain<&lahf>;
    table[ZYDIS_MNEMONIC_SAHF] = &build_plain<&sahf>;
}

} // namespace touka::cpu::interpreter
