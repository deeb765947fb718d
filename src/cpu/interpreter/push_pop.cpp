// PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER and LEAVE. (AMD64 APM vol. 3 rev. 3.36)
//
// 64-bit code has handlers of its own, without segment checks; all other code goes through StackCursor.

#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"
#include "cpu/interpreter/segment_access.hpp"
#include "cpu/interpreter/stack.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint8_t kRsp = gpr_offset(Gpr::kRsp), kRbp = gpr_offset(Gpr::kRbp);

/// Pushes in any mode. @return false with the fault set and nothing changed.
template <class T>
bool push(Processor& p, T value) {
    if (p.code_size == CodeSize::k64) {
        const std::uint64_t rsp = p.gpr(Gpr::kRsp) - sizeof(T);
        if (!store<T>(p, rsp, value, access::kStack)) return false;
        p.gpr(Gpr::kRsp) = rsp;
        return true;
    }
    StackCursor stack(p);
    if (!stack.push(value, sizeof(T))) return false;
    stack.commit();
    return true;
}

template <class T>
Loaded<T> pop(Processor& p) {
    if (p.code_size == CodeSize::k64) {
        const auto loaded = load<T>(p, p.gpr(Gpr::kRsp), access::kStack);
        if (loaded.ok) p.gpr(Gpr::kRsp) += sizeof(T);
        return loaded;
    }
    StackCursor stack(p);
    std::uint64_t value = 0;
    if (!stack.pop(value, sizeof(T))) return {0, false};
    stack.commit();
    return {static_cast<T>(value), true};
}

enum class PushSource { kRegister, kImmediate, kMemory };

template <class T, PushSource source>
Link* push_any(Processor& p, const Op* op) {
    T value;
    if constexpr (source == PushSource::kMemory) {
        const auto loaded = load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
        if (!loaded.ok) return stop(p, op);
        value = loaded.value;
    } else {
        value = source == PushSource::kImmediate ? immediate<T>(op) : get<T>(p, op->reg);
    }
    return push<T>(p, value) ? next(p, op) : stop(p, op);
}

Link* push_register64(Processor& p, const Op* op) {
    const std::uint64_t rsp = get<std::uint64_t>(p, kRsp) - 8;
    const QuickWrite write = quick_write_at(p, rsp, 8);
    if (write.host == nullptr) [[unlikely]]
        return push_any<std::uint64_t, PushSource::kRegister>(p, op);
    host::store(write.host, get<std::uint64_t>(p, op->reg));
    set(p, kRsp, rsp);
    return next_after_write(p, op, write);
}

template <class T>
Link* pop_register(Processor& p, const Op* op) {
    const auto value = pop<T>(p);
    if (!value.ok) return stop(p, op);
    set<T>(p, op->reg, value.value);
    return next(p, op);
}

Link* pop_register64(Processor& p, const Op* op) {
    const std::uint64_t rsp = get<std::uint64_t>(p, kRsp);
    std::byte* host = quick_read_at(p, rsp, 8);
    if (host == nullptr) [[unlikely]]
        return pop_register<std::uint64_t>(p, op);
    set(p, kRsp, rsp + 8);
    set(p, op->reg, host::load<std::uint64_t>(host));
    return next(p, op);
}

/// The address of the destination is made after RSP has moved.
template <class T>
Link* pop_memory(Processor& p, const Op* op) {
    const std::uint64_t rsp = p.gpr(Gpr::kRsp);
    const auto value = pop<T>(p);
    if (!value.ok) return stop(p, op);
    if (store<T>(p, linear_address(p, op, sizeof(T), true), value.value, op->access)) return next(p, op);
    p.gpr(Gpr::kRsp) = rsp;
    return stop(p, op);
}

Handler by_stack_width(unsigned width_bits, auto choose) {
    return width_bits == 16   ? choose.template operator()<std::uint16_t>()
           : width_bits == 32 ? choose.template operator()<std::uint32_t>()
                              : choose.template operator()<std::uint64_t>();
}

bool build_push(Draft& draft) {
    const unsigned width = draft.width_bits();
    if (draft.is_immediate(0)) {
        draft.op.immediate = static_cast<std::int32_t>(draft.operand(0).imm.value.s);
        draft.op.handler =
            by_stack_width(width, [&]<class T>() -> Handler { return &push_any<T, PushSource::kImmediate>; });
        return true;
    }
    const Form form = set_operands(draft);
    if (form == Form::kOther) return false;
    draft.op.handler = by_stack_width(width, [&]<class T>() -> Handler {
        if (form == Form::kMemory) return &push_any<T, PushSource::kMemory>;
        return sizeof(T) == 8 ? &push_register64 : &push_any<T, PushSource::kRegister>;
    });
    return true;
}

bool build_pop(Draft& draft) {
    const Form form = set_operands(draft);
    if (form == Form::kOther) return false;
    draft.op.handler = by_stack_width(draft.width_bits(), [&]<class T>() -> Handler {
        if (form == Form::kMemory) return &pop_memory<T>;
        return sizeof(T) == 8 ? &pop_register64 : &pop_register<T>;
    });
    return true;
}

template <class T>
Link* pusha(Processor& p, const Op* op) {
    StackCursor stack(p);
    for (std::size_t n = 0; n < 8; ++n) {
        if (!stack.push(static_cast<T>(p.regs.gpr[n]), sizeof(T))) return stop(p, op);
    }
    stack.commit();
    return next(p, op);
}

template <class T>
Link* popa(Processor& p, const Op* op) {
    StackCursor stack(p);
    // Registers are written as they come, also when a later one faults; ESP moves last.
    for (std::uint8_t n = 8; n-- > 0;) {
        std::uint64_t value = 0;
        if (!stack.pop(value, sizeof(T))) return stop(p, op);
        if (n != static_cast<std::uint8_t>(Gpr::kRsp))
            set<T>(p, gpr_offset(static_cast<Gpr>(n)), static_cast<T>(value));
    }
    stack.commit();
    return next(p, op);
}

template <class T>
Link* pushf(Processor& p, const Op* op) {
    const auto flags = static_cast<T>(p.rflags() & ~(rflags::RF | rflags::VM));
    return push<T>(p, flags) ? next(p, op) : stop(p, op);
}

template <class T>
Link* popf(Processor& p, const Op* op) {
    const auto popped = pop<T>(p);
    if (!popped.ok) return stop(p, op);
    const std::uint64_t writable = writable_flags(p, sizeof(T));
    const std::uint64_t before = p.system_flags;
    p.set_rflags((p.rflags() & ~(writable | rflags::RF)) | (popped.value & writable));
    const std::uint64_t changed = before ^ p.system_flags;
    if ((changed & rflags::AC) != 0) select_tlb(p);
    // Only these make the loop look around.
    if ((changed & (rflags::IF | rflags::TF)) == 0) return next(p, op);
    return leave_after(p, op);
}

/// ENTER: the frame pointers of the nesting levels are copied. The stack is probed for a write at its end, as the
/// processor does, before anything changes.
template <class T>
Link* enter(Processor& p, const Op* op) {
    const auto size = static_cast<std::uint16_t>(op->immediate);
    const unsigned level = op->variant % 32;
    const std::uint64_t mask = stack_pointer_mask(p);
    StackCursor stack(p);
    if (!stack.push(get<T>(p, kRbp), sizeof(T))) return stop(p, op);
    const std::uint64_t frame = stack.pointer();
    std::uint64_t outer = p.gpr(Gpr::kRbp);
    for (unsigned n = 1; n < level; ++n) {
        outer = (outer - sizeof(T)) & mask;
        std::uint64_t linear = 0;
        if (!segment_address(p, SegmentName::kSs, outer, sizeof(T), false, linear)) return stop(p, op);
        const auto pointer = load<T>(p, linear, access::kStack);
        if (!pointer.ok || !stack.push(pointer.value, sizeof(T))) return stop(p, op);
    }
    if (level > 0 && !stack.push(static_cast<T>(frame), sizeof(T))) return stop(p, op);
    const std::uint64_t end = (stack.pointer() - size) & mask;
    std::uint64_t linear = 0;
    if (!segment_address(p, SegmentName::kSs, end, 1, true, linear)) return stop(p, op);
    std::byte* probe = open_operand(p, linear, 1, access::kStack);
    if (probe == nullptr) return stop(p, op);
    abandon_operand(p, probe);
    set<T>(p, kRbp, static_cast<T>(frame));
    set_stack_pointer(p, end, mask);
    return next(p, op);
}

bool build_enter(Draft& draft) {
    draft.op.immediate = static_cast<std::int32_t>(draft.operand(0).imm.value.u);
    draft.op.variant = static_cast<std::uint8_t>(draft.operand(1).imm.value.u);
    draft.op.handler = by_stack_width(draft.width_bits(), [&]<class T>() -> Handler { return &enter<T>; });
    return true;
}

template <class T>
Link* leave(Processor& p, const Op* op) {
    const std::uint64_t mask = stack_pointer_mask(p);
    const std::uint64_t frame = p.gpr(Gpr::kRbp) & mask;
    std::uint64_t linear = 0;
    if (!segment_address(p, SegmentName::kSs, frame, sizeof(T), false, linear)) return stop(p, op);
    const auto saved = load<T>(p, linear, access::kStack);
    if (!saved.ok) return stop(p, op);
    set_stack_pointer(p, frame + sizeof(T), mask);
    set<T>(p, kRbp, saved.value);
    return next(p, op);
}

bool build_leave(Draft& draft) {
    draft.op.handler = by_stack_width(draft.width_bits(), [&]<class T>() -> Handler { return &leave<T>; });
    return true;
}

} // namespace

void add_stack(BuilderTable& table) {
    table[ZYDIS_MNEMONIC_PUSH] = &build_push;
    table[ZYDIS_MNEMONIC_POP] = &build_pop;
    table[ZYDIS_MNEMONIC_PUSHA] = &build_plain<&pusha<std::uint16_t>>;
    table[ZYDIS_MNEMONIC_PUSHAD] = &build_plain<&pusha<std::uint32_t>>;
    table[ZYDIS_MNEMONIC_POPA] = &build_plain<&popa<std::uint16_t>>;
    table[ZYDIS_MNEMONIC_POPAD] = &build_plain<&popa<std::uint32_t>>;
    table[ZYDIS_MNEMONIC_PUSHF] = &build_plain<&pushf<std::uint16_t>>;
    table[ZYDIS_MNEMONIC_PUSHFD] = &build_plain<&pushf<std::uint32_t>>;
    table[ZYDIS_MNEMONIC_PUSHFQ] = &build_plain<&pushf<std::uint64_t>>;
    table[ZYDIS_MNEMONIC_POPF] = &build_plain<&popf<std::uint16_t>>;
    table[ZYDIS_MNEMONIC_POPFD] = &build_plain<&popf<std::uint32_t>>;
    table[ZYDIS_MNEMONIC_POPFQ] = &build_plain<&popf<std::uint64_t>>;
    table[ZYDIS_MNEMONIC_ENTER] = &build_enter;
    table[ZYDIS_MNEMONIC_LEAVE] = &build_leave;
}

} // namespace touka::cpu::interpreter
