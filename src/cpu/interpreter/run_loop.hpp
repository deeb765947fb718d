// The loop that runs a processor: blocks, and between them exceptions, interrupts and requests.
#pragma once

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

enum class StopReason {
    kRequested, ///< a request for the caller is set: kKick, kInit or kStartup; it is left set
    kHalted,    ///< run_state is not kRunning and nothing is there to end that
    kShutdown,  ///< triple fault
    kBudget,    ///< the given number of blocks was run
    kDiffered,  ///< an engine that checks itself found a difference
};

/// Runs until something in StopReason. Interrupts, NMIs and kFlushTlb requests are served inside; x87 registers are
/// home on return.
/// @param block_budget how many blocks to run at most, for tests that must end.
/// @pre the mode is derived (update_mode). @thread the processor's.
[[nodiscard]] StopReason execute(Processor& p, std::uint64_t block_budget = ~std::uint64_t{0});

/// What a loop does when attention or a request asks it to look around: delivers faults and interrupts, serves
/// requests, runs single steps. x87 registers are home afterwards.
/// @return whether the loop goes on; if not, why in `reason`.
[[nodiscard]] bool attend(Processor& p, StopReason& reason);

/// Runs the instruction at rip, whatever the mode, without looking at shadows, single-step or breakpoints.
void interpret_one(Processor& p);
/// Runs the block at rip.
void interpret_block(Processor& p);

/// After an instruction that may have changed anything: is there something to do before the next block?
[[nodiscard]] bool must_look_around(Processor& p);

} // namespace touka::cpu::interpreter
