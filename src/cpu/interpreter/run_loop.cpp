#include "cpu/interpreter/run_loop.hpp"

#include <utility>

#include "cpu/interpreter/block_cache.hpp"
#include "cpu/interpreter/breakpoints.hpp"
#include "cpu/interpreter/delivery.hpp"
#include "cpu/interpreter/memory_access.hpp"
#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {
namespace {

using namespace spec::x86;

constexpr std::uint32_t kForCaller = request::kKick | request::kInit | request::kStartup;

void take_requests(Processor& p) {
    const std::uint32_t taken = p.requests.fetch_and(kForCaller | request::kCodeWritten, std::memory_order_acquire);
    if ((taken & request::kNmi) != 0) p.nmi_pending = true;
    if ((taken & request::kFlushTlb) != 0) flush_tlb(p);
}

[[nodiscard]] bool is_debug_trap_due(const Processor& p) { return p.pending_debug != 0 && !p.debug_shadow; }

/// Between two instructions: the most urgent event that is there and not held off.
void deliver_event(Processor& p) {
    if (p.pending_event && !p.interrupt_shadow) return deliver_pending_event(p);
    if (is_debug_trap_due(p)) {
        p.run_state = RunState::kRunning;
        return deliver_exception(p, {Exception::kDebug, 0, std::exchange(p.pending_debug, 0)});
    }
    if (p.interrupt_shadow) return;
    if (p.nmi_pending && !p.nmi_blocked) {
        p.nmi_pending = false;
        p.run_state = RunState::kRunning;
        return deliver_interrupt(p, static_cast<std::uint8_t>(Exception::kNmi), InterruptKind::kNmi);
    }
    p.interrupt_waiting = p.interrupts.has_interrupt() ? 1 : 0;
    if ((p.system_flags & rflags::IF) == 0 || p.interrupt_waiting == 0) return;
    if (const auto vector = p.interrupts.acknowledge()) {
        p.run_state = RunState::kRunning;
        deliver_interrupt(p, *vector, InterruptKind::kExternal);
    }
}

void run_from_rip(Processor& p, bool single) {
    BlockCache& cache = *p.blocks;
    Block* block = cache.find_quick(p, single);
    if (block == nullptr) block = cache.find(p, single);
    if (block == nullptr) return;
    p.regs.code_base = p.rip;
    cache.set_running(block);
    (void)block->ops()->handler(p, block->ops());
    cache.set_running(nullptr);
}

/// One instruction, under a shadow, with single-step or with breakpoints armed. Traps are left pending.
void step(Processor& p) {
    p.attention = true;
    const bool trap = (p.system_flags & rflags::TF) != 0;
    // Intel's processors ignore breakpoints behind MOV SS as if RF were set. (SDM vol. 3 rev. 084 §6.8.3)
    const bool suppressed = p.debug_shadow && p.model.vendor == ProcessorModel::Vendor::kIntel;
    const bool resumed = (p.system_flags & rflags::RF) != 0 || suppressed;
    p.system_flags &= ~rflags::RF;
    p.interrupt_shadow = p.debug_shadow = false;
    if (const std::uint64_t hit = instruction_breakpoints(p); hit != 0 && !resumed) {
        p.raise(Exception::kDebug, 0, hit | std::exchange(p.pending_debug, 0));
        return;
    }
    run_from_rip(p, true);
    if (p.fault)
        p.pending_debug = 0; // the instruction is not done; its accesses will be met again
    else if (trap)
        p.pending_debug |= dr6::BS;
}

} // namespace

void interpret_one(Processor& p) { run_from_rip(p, true); }
void interpret_block(Processor& p) { run_from_rip(p, false); }

bool attend(Processor& p, StopReason& reason) {
    p.attention = false;
    spill_x87(p.regs);
    if (p.fault) deliver_exception(p, *p.fault);
    take_requests(p);
    if (!p.shutdown) deliver_event(p);
    select_tlb(p);
    const bool requested = (p.requests.load(std::memory_order_relaxed) & kForCaller) != 0;
    if (!p.shutdown && !requested && p.run_state == RunState::kRunning) {
        if (is_debug_trap_due(p))
            p.attention = true; // met by the delivery of an event: before its handler
        else if (p.interrupt_shadow || has_breakpoints(p) || (p.system_flags & rflags::TF) != 0)
            step(p);
        else
            p.system_flags &= ~rflags::RF;
        return true;
    }
    reason = p.shutdown ? StopReason::kShutdown : requested ? StopReason::kRequested : StopReason::kHalted;
    return false;
}

bool must_look_around(Processor& p) {
    if (p.fault || p.shutdown || p.interrupt_shadow || p.nmi_pending || p.run_state != RunState::kRunning) return true;
    if ((p.system_flags & (rflags::TF | rflags::RF)) != 0 || has_breakpoints(p)) return true;
    return (p.system_flags & rflags::IF) != 0 && p.interrupts.has_interrupt();
}

StopReason execute(Processor& p, std::uint64_t block_budget) {
    BlockCache& cache = *p.blocks;
    Link* link = nullptr;
    p.attention = true;
    for (;; --block_budget) {
        if (block_budget == 0) [[unlikely]] {
            spill_x87(p.regs);
            return StopReason::kBudget;
        }
        if ((p.requests.load(std::memory_order_relaxed) | (p.attention ? 1u : 0u)) != 0) [[unlikely]] {
            StopReason reason{};
            cache.set_running(nullptr);
            if (!attend(p, reason)) {
                p.attention = true;
                return reason;
            }
            link = nullptr;
            if (p.attention) continue;
        }
        Block* block = link != nullptr ? link->block : nullptr;
        if (block == nullptr || !BlockCache::is_current(p, *block)) [[unlikely]] {
            const std::uint64_t drop_count = cache.drop_count();
            block = cache.find_quick(p);
            if (block == nullptr) block = cache.find(p);
            if (block == nullptr) continue; // a fault, which has set attention
            // Only what lies in one page is known to be reached by this link again.
            if (link != nullptr && drop_count == cache.drop_count() && !block->crosses) {
                link->block = block;
            }
        }
        p.regs.code_base = p.rip;
        cache.set_running(block);
        link = block->ops()->handler(p, block->ops());
    }
}

} // namespace touka::cpu::interpreter
