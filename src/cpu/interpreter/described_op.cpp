#include "cpu/interpreter/described_op.hpp"

#include <new>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/data_instruction.hpp"
#include "cpu/interpreter/masked_native.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/run_loop.hpp"
#include "cpu/interpreter/system_instruction.hpp"
#include "cpu/interpreter/x87_state.hpp"

namespace touka::cpu::interpreter {
namespace {

[[nodiscard]] const Description& description_of(const Op* op) {
    return *static_cast<const Description*>(op->description);
}

Outcome execute_described(Processor& p, const Op* op) {
    const Description& d = description_of(op);
    p.rip = own_rip(p, op);
    p.next_rip = following_rip(p, op);
    if (p.code_size != CodeSize::k64) p.next_rip &= 0xFFFF'FFFF;
    return d.function(p, d.instruction);
}

/// Anything may have changed: mode, translations, flags, interrupts. The block ends.
Link* run_system(Processor& p, const Op* op) {
    spill_x87(p.regs);
    const Outcome outcome = execute_described(p, op);
    if (outcome == Outcome::kNext || outcome == Outcome::kHalt) p.rip = p.next_rip;
    if (outcome == Outcome::kHalt) p.run_state = RunState::kHalted;
    select_tlb(p);
    if (must_look_around(p)) p.attention = true;
    return nullptr;
}

/// One of those that change no mode, no translation and no flag: kernels run them all the time.
Link* run_harmless_system(Processor& p, const Op* op) {
    spill_x87(p.regs);
    return execute_described(p, op) == Outcome::kNext ? next(p, op) : stop(p, op);
}

[[nodiscard]] bool is_harmless(const Draft& draft) {
    switch (draft.instruction.info.mnemonic) {
        case ZYDIS_MNEMONIC_SWAPGS:
        case ZYDIS_MNEMONIC_RDFSBASE:
        case ZYDIS_MNEMONIC_RDGSBASE:
        case ZYDIS_MNEMONIC_WRFSBASE:
        case ZYDIS_MNEMONIC_WRGSBASE:
        case ZYDIS_MNEMONIC_RDMSR:
        case ZYDIS_MNEMONIC_CPUID:
        case ZYDIS_MNEMONIC_VERW: return true;
        // From a segment, control or debug register.
        case ZYDIS_MNEMONIC_MOV:
            return draft.is_memory(0) || register_offset(draft.operand(0).reg.value) != kNoRegister;
        default: return false;
    }
}

Link* run_data(Processor& p, const Op* op) {
    return execute_described(p, op) == Outcome::kNext ? next(p, op) : stop(p, op);
}

Link* raise_unimplemented(Processor& p, const Op* op) {
    p.blocks->unimplemented().count(static_cast<ZydisMnemonic>(op->immediate));
    p.raise(Exception::kInvalidOpcode);
    return stop(p, op);
}

Link* raise_invalid_opcode(Processor& p, const Op* op) {
    p.raise(Exception::kInvalidOpcode);
    return stop(p, op);
}

/// More than 15 bytes.
Link* raise_too_long(Processor& p, const Op* op) {
    p.raise(Exception::kGeneralProtection);
    return stop(p, op);
}

Link* fall_through(Processor& p, const Op* op) {
    p.rip = own_rip(p, op);
    return op->variant != 0 ? &op->link : nullptr;
}

Link* leave_block(Processor& p, const Op* op) {
    p.rip = own_rip(p, op);
    return nullptr;
}

[[nodiscard]] const HostInstruction& native_of(const Op* op) {
    return *static_cast<const HostInstruction*>(op[1].description);
}

Link* run_native(Processor& p, const Op* op) {
    const HostInstruction& native = native_of(op);
    if (!check_available(p, native.needs)) return stop(p, op);
    if (const auto exception = native.run(p.regs, nullptr)) {
        raise_floating_point(p, *exception);
        return stop(p, op);
    }
    return next(p, op + 1);
}

Link* run_native_with_memory(Processor& p, const Op* op) {
    const HostInstruction& native = native_of(op);
    if (!check_available(p, native.needs)) return stop(p, op);
    // A pending x87 exception comes before any fault of the operand.
    if (native.waits && x87_exception_pending(p.regs)) {
        p.raise(Exception::kX87);
        return stop(p, op);
    }
    const std::uint64_t linear = linear_address(p, op, native.memory_bytes, native.writes_memory);
    if (native.masked) {
        const bool done = !p.fault && run_masked(p, native, linear, op->access);
        return done ? next(p, op + 1) : stop(p, op);
    }
    if (!p.fault && linear % native.alignment_bytes != 0) p.raise(Exception::kGeneralProtection);
    if (p.fault) return stop(p, op);
    std::byte* memory = native.writes_memory ? open_operand(p, linear, native.memory_bytes, op->access)
                                             : open_operand_to_read(p, linear, native.memory_bytes, op->access);
    if (memory == nullptr) return stop(p, op);
    if (const auto exception = native.run(p.regs, memory)) {
        abandon_operand(p, memory);
        raise_floating_point(p, *exception);
        return stop(p, op);
    }
    if (native.writes_memory) close_operand(p, memory);
    return next(p, op + 1);
}

[[nodiscard]] bool describe(Draft& draft, BlockCache& cache, ExecuteFunction function, Handler handler) {
    void* memory = cache.allocate(sizeof(Description));
    if (memory == nullptr) return false;
    draft.op.description = new (memory) Description{function, draft.instruction};
    draft.op.handler = handler;
    return true;
}

} // namespace

bool complete_described(Draft& draft, BlockCache& cache, const HostInstruction*& native) {
    const ZydisMnemonic mnemonic = draft.instruction.info.mnemonic;
    if (const ExecuteFunction system = find_system_instruction(mnemonic)) {
        const bool harmless = is_harmless(draft);
        draft.ends_block = !harmless;
        return describe(draft, cache, system, harmless ? &run_harmless_system : &run_system);
    }
    if (const ExecuteFunction data = find_data_instruction(mnemonic)) return describe(draft, cache, data, &run_data);
    native = cache.host_code().prepare(draft.instruction);
    if (native == nullptr) {
        draft.ends_block = true;
        draft.op.immediate = mnemonic;
        draft.op.handler =
            mnemonic == ZYDIS_MNEMONIC_UD0 || mnemonic == ZYDIS_MNEMONIC_UD1 || mnemonic == ZYDIS_MNEMONIC_UD2
                ? &raise_invalid_opcode
                : &raise_unimplemented;
        return true;
    }
    if (native->has_memory()) set_memory(draft, native->memory_operand);
    draft.op.handler = native->has_memory() ? &run_native_with_memory : &run_native;
    return true;
}

Op native_operand(const HostInstruction* native) {
    Op op;
    op.handler = &raise_invalid_opcode;
    op.description = native;
    return op;
}

Handler invalid_opcode_handler() { return &raise_invalid_opcode; }
Handler too_long_handler() { return &raise_too_long; }
Handler fall_through_handler() { return &fall_through; }
Handler leave_block_handler() { return &leave_block; }

} // namespace touka::cpu::interpreter
