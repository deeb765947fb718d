// Near JMP, CALL, RET, Jcc, LOOP and JrCXZ. (AMD64 APM vol. 3 rev. 3.36)
//
// A direct jump inside its page keeps a Link to its target; a Jcc that is not taken goes on inside its block.
// A target that is not canonical is the branch's own #GP(0), with nothing changed.

#include "cpu/interpreter/condition.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/mode.hpp"
#include "cpu/interpreter/op_draft.hpp"
#include "cpu/interpreter/quick_access.hpp"
#include "cpu/interpreter/stack.hpp"

namespace touka::cpu::interpreter {
namespace {

constexpr std::uint8_t kRsp = gpr_offset(Gpr::kRsp), kRcx = gpr_offset(Gpr::kRcx);

// Op::variant of direct branches: how the target is made.
constexpr std::uint8_t kInPage = 1;    ///< Op::immediate and Op::link hold it; else Op::displacement
constexpr std::uint8_t kTruncated = 2; ///< not 64-bit code: rip has 16 or 32 bits (Op::reg2), checked against CS

/// Jumps outside of 64-bit code: rip is truncated, and a target beyond the limit of CS is the jump's own fault.
bool set_short_rip(Processor& p, std::uint64_t target, unsigned width_bytes) {
    target &= width_bytes == 2 ? 0xFFFF : 0xFFFF'FFFF;
    if (target > p.segment(SegmentName::kCs).limit) return p.raise(Exception::kGeneralProtection);
    p.rip = target;
    return true;
}

[[gnu::always_inline]] inline bool check_canonical(Processor& p, std::uint64_t target) {
    return is_canonical(target) || p.raise(Exception::kGeneralProtection);
}

[[gnu::always_inline]] inline Link* take(Processor& p, const Op* op) {
    if (op->variant == kInPage) [[likely]] {
        p.rip = p.regs.code_base + static_cast<std::uint64_t>(std::int64_t{op->immediate});
        return &op->link;
    }
    p.rip = p.regs.code_base + static_cast<std::uint64_t>(op->displacement);
    return nullptr;
}

Link* take_truncated(Processor& p, const Op* op) {
    const std::uint64_t target = p.regs.code_base + static_cast<std::uint64_t>(op->displacement);
    return set_short_rip(p, target, op->reg2) ? nullptr : stop(p, op);
}

Link* jump(Processor& p, const Op* op) { return take(p, op); }

template <Condition C>
Link* jump_if(Processor& p, const Op* op) {
    return holds<C>(p.regs.status) ? take(p, op) : next(p, op);
}

template <Condition C>
Link* jump_if_truncated(Processor& p, const Op* op) {
    return holds<C>(p.regs.status) ? take_truncated(p, op) : next(p, op);
}

/// Fills in the target; @return whether it has the 64-bit form.
bool set_target(Draft& draft) {
    Op& op = draft.op;
    const std::int64_t target = op.offset + op.length_bytes + draft.operand(0).imm.value.s;
    if (!draft.is_64bit()) {
        op.variant = kTruncated;
        op.reg2 = static_cast<std::uint8_t>(draft.width_bits() / 8);
        op.displacement = target;
        return false;
    }
    const auto in_page = static_cast<std::int64_t>(draft.page_offset) + target;
    if (in_page >= 0 && in_page < std::int64_t{spec::kPageSize}) {
        op.variant = kInPage;
        op.immediate = static_cast<std::int32_t>(target);
        op.link = {nullptr};
    } else {
        op.displacement = target;
    }
    return true;
}

[[nodiscard]] bool is_near(const Draft& draft) {
    const auto type = draft.instruction.info.meta.branch_type;
    return type == ZYDIS_BRANCH_TYPE_NEAR || type == ZYDIS_BRANCH_TYPE_SHORT;
}

template <Condition C>
bool build_jump_if(Draft& draft) {
    draft.op.handler = set_target(draft) ? &jump_if<C> : &jump_if_truncated<C>;
    return true;
}

/// LOOP, LOOPE, LOOPNE and JrCXZ. Op::reg is the address size in bytes, which is that of the counter.
enum class Counting { kLoop, kLoopEqual, kLoopNotEqual, kJumpIfZero };

template <class T, Counting kind>
bool count_says_jump(Processor& p) {
    if constexpr (kind == Counting::kJumpIfZero) return get<T>(p, kRcx) == 0;
    const T count = static_cast<T>(get<T>(p, kRcx) - 1);
    set<T>(p, kRcx, count);
    const bool zero = holds<Condition::kZ>(p.regs.status);
    return count != 0 && (kind == Counting::kLoop || zero == (kind == Counting::kLoopEqual));
}

template <class T, Counting kind>
Link* jump_by_count(Processor& p, const Op* op) {
    const T count = get<T>(p, kRcx);
    if (!count_says_jump<T, kind>(p)) return next(p, op);
    if (op->variant != kTruncated) return take(p, op);
    Link* link = take_truncated(p, op);
    if (p.fault) set<T>(p, kRcx, count);
    return link;
}

template <Counting kind>
bool build_jump_by_count(Draft& draft) {
    (void)set_target(draft);
    draft.op.handler = by_width(draft.instruction.info.address_width, [&]<class T>() -> Handler {
        if constexpr (sizeof(T) == 1) return nullptr;
        return &jump_by_count<T, kind>;
    });
    return true;
}

/// CALL in 64-bit code, direct.
template <Path path = Path::kQuick>
[[gnu::noinline]] Link* call(Processor& p, const Op* op) {
    const std::uint64_t rsp = get<std::uint64_t>(p, kRsp) - 8;
    if constexpr (path == Path::kQuick) {
        const QuickWrite write = quick_write_at(p, rsp, 8);
        if (write.host == nullptr) [[unlikely]]
            return call<Path::kFull>(p, op);
        host::store(write.host, following_rip(p, op));
        std::atomic_signal_fence(std::memory_order_seq_cst);
        // Code was written: the full path stores the same again and tells who needs to know.
        if (write.code_mark->load(std::memory_order_relaxed) != 0) [[unlikely]]
            return call<Path::kFull>(p, op);
    } else {
        if (!store<std::uint64_t>(p, rsp, following_rip(p, op), access::kStack)) return stop(p, op);
    }
    set(p, kRsp, rsp);
    return take(p, op);
}

/// RET in 64-bit code; Op::immediate more bytes are dropped.
Link* ret(Processor& p, const Op* op) {
    const std::uint64_t rsp = get<std::uint64_t>(p, kRsp);
    const auto target = load<std::uint64_t>(p, rsp, access::kStack);
    if (!target.ok) [[unlikely]]
        return stop(p, op);
    if (!check_canonical(p, target.value)) return stop(p, op);
    p.rip = target.value;
    set(p, kRsp, rsp + 8 + static_cast<std::uint16_t>(op->immediate));
    return nullptr;
}

/// The other modes.
template <class T>
bool push_return(Processor& p, const Op* op, StackCursor& stack) {
    return stack.push(static_cast<T>(following_rip(p, op)), sizeof(T));
}

template <class T>
Link* call_truncated(Processor& p, const Op* op) {
    StackCursor stack(p);
    if (!push_return<T>(p, op, stack)) return stop(p, op);
    Link* link = take_truncated(p, op);
    if (!p.fault) stack.commit();
    return link;
}

template <class T>
Link* ret_truncated(Processor& p, const Op* op) {
    StackCursor stack(p);
    std::uint64_t target = 0;
    if (!stack.pop(target, sizeof(T))) return stop(p, op);
    stack.skip(static_cast<std::uint16_t>(op->immediate));
    if (!set_short_rip(p, target, sizeof(T))) return stop(p, op);
    stack.commit();
    return nullptr;
}

template <class T, bool FromMemory>
[[gnu::always_inline]] inline Loaded<T> indirect_target(Processor& p, const Op* op) {
    if constexpr (!FromMemory) return {get<T>(p, op->reg), true};
    return load<T>(p, linear_address(p, op, sizeof(T), false), op->access);
}

template <class T, bool FromMemory>
Link* jump_indirect(Processor& p, const Op* op) {
    const auto target = indirect_target<T, FromMemory>(p, op);
    if (!target.ok) return stop(p, op);
    if constexpr (sizeof(T) == 8) {
        if (!check_canonical(p, target.value)) return stop(p, op);
        p.rip = target.value;
    } else if (!set_short_rip(p, target.value, sizeof(T))) {
        return stop(p, op);
    }
    return nullptr;
}

template <class T, bool FromMemory>
Link* call_indirect(Processor& p, const Op* op) {
    const auto target = indirect_target<T, FromMemory>(p, op);
    if (!target.ok) return stop(p, op);
    if constexpr (sizeof(T) == 8) {
        const std::uint64_t rsp = p.gpr(Gpr::kRsp) - 8;
        if (!is_canonical(target.value)) [[unlikely]] {
            // A stack that cannot take the return address faults first.
            std::byte* host = open_operand(p, rsp, 8, access::kStack | access::kWriteOnly);
            if (host != nullptr) p.raise(Exception::kGeneralProtection);
            return stop(p, op);
        }
        if (!store<std::uint64_t>(p, rsp, following_rip(p, op), access::kStack)) return stop(p, op);
        p.gpr(Gpr::kRsp) = rsp;
        p.rip = target.value;
    } else {
        StackCursor stack(p);
        if (!push_return<T>(p, op, stack) || !set_short_rip(p, target.value, sizeof(T))) return stop(p, op);
        stack.commit();
    }
    return nullptr;
}

/// 64-bit code has 64-bit near branches whatever the prefixes say.
Handler by_branch_width(const Draft& draft, auto choose) {
    if (draft.is_64bit()) return choose.template operator()<std::uint64_t>();
    return draft.width_bits() == 16 ? choose.template operator()<std::uint16_t>()
                                    : choose.template operator()<std::uint32_t>();
}

bool build_jmp(Draft& draft) {
    if (!is_near(draft)) return false;
    draft.ends_block = true;
    if (draft.is_immediate(0)) {
        draft.op.handler = set_target(draft) ? &jump : &take_truncated;
        return true;
    }
    const bool from_memory = set_operands(draft) == Form::kMemory;
    draft.op.handler = by_branch_width(
        draft, [&]<class T>() -> Handler { return from_memory ? &jump_indirect<T, true> : &jump_indirect<T, false>; });
    return true;
}

bool build_call(Draft& draft) {
    if (!is_near(draft)) return false;
    draft.ends_block = true;
    if (draft.is_immediate(0)) {
        const bool is_64bit = set_target(draft);
        draft.op.handler = is_64bit                   ? &call<>
                           : draft.width_bits() == 16 ? &call_truncated<std::uint16_t>
                                                      : &call_truncated<std::uint32_t>;
        return true;
    }
    const bool from_memory = set_operands(draft) == Form::kMemory;
    draft.op.handler = by_branch_width(
        draft, [&]<class T>() -> Handler { return from_memory ? &call_indirect<T, true> : &call_indirect<T, false>; });
    return true;
}

bool build_ret(Draft& draft) {
    if (!is_near(draft)) return false;
    draft.ends_block = true;
    if (draft.is_immediate(0)) draft.op.immediate = static_cast<std::int32_t>(draft.operand(0).imm.value.u);
    draft.op.handler = draft.is_64bit()           ? &ret
                       : draft.width_bits() == 16 ? &ret_truncated<std::uint16_t>
                                                  : &ret_truncated<std::uint32_t>;
    return true;
}

constexpr ConditionMnemonics kJump = {ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
                                      ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
                                      ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
                                      ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};

} // namespace

void add_branch(BuilderTable& table) {
    for_each_condition([&]<Condition C>(std::size_t i) { table[kJump[i]] = &build_jump_if<C>; });
    table[ZYDIS_MNEMONIC_JMP] = &build_jmp;
    table[ZYDIS_MNEMONIC_CALL] = &build_call;
    table[ZYDIS_MNEMONIC_RET] = &build_ret;
    table[ZYDIS_MNEMONIC_LOOP] = &build_jump_by_count<Counting::kLoop>;
    table[ZYDIS_MNEMONIC_LOOPE] = &build_jump_by_count<Counting::kLoopEqual>;
    table[ZYDIS_MNEMONIC_LOOPNE] = &build_jump_by_count<Counting::kLoopNotEqual>;
    table[ZYDIS_MNEMONIC_JCXZ] = &build_jump_by_count<Counting::kJumpIfZero>;
    table[ZYDIS_MNEMONIC_JECXZ] = &build_jump_by_count<Counting::kJumpIfZero>;
    table[ZYDIS_MNEMONIC_JRCXZ] = &build_jump_by_count<Counting::kJumpIfZero>;
}

} // namespace touka::cpu::interpreter
