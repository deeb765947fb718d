// The guest's x87 and MMX registers on their way between RegisterFile::legacy and the host's FPU.
//
// FIP, FDP and FOP read as zero: what the host has there are addresses of its own. Processors without a pending
// exception may do the same (APM vol. 2 §11.4.4.3).
#pragma once

#include "cpu/interpreter/register_file.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

/// Puts the guest's x87 state into this thread's FPU. @pre regs.x87_place == kImage.
void load_x87(RegisterFile& regs);
/// Saves the guest's x87 state into regs.legacy and gives the host an FPU as after FNINIT.
/// @pre regs.x87_place != kImage.
void save_x87(RegisterFile& regs);

/// To be called before any code runs on the vCPU's thread that is not the interpreter's own: CpuBus and InterruptPort
/// calls, run() returning, waiting in HLT; and before `legacy` is read or written. Cheap when nothing is live.
inline void spill_x87(RegisterFile& regs) {
    if (regs.x87_place != X87Place::kImage) [[unlikely]]
        save_x87(regs);
}

/// What x87_place has to be for the state that is in this thread's FPU: asked after FCW may have changed.
[[nodiscard]] X87Place place_of_host_x87();
/// FSW.ES: the next waiting instruction must raise #MF instead of running.
[[nodiscard]] bool host_x87_exception_pending();

/// As host_x87_exception_pending, wherever the registers are.
[[nodiscard]] inline bool x87_exception_pending(const RegisterFile& regs) {
    if (regs.x87_place == X87Place::kHost) return false;
    if (regs.x87_place == X87Place::kHostUnmasked) return host_x87_exception_pending();
    return (regs.legacy[spec::x86::fxsave::kStatus] & spec::x86::fxsave::kErrorSummary) != 0;
}

/// Brings an image from guest memory into the form that the registers have: reserved bits of FCW, ES and B of FSW.
/// @pre the registers are home.
void normalise_x87(RegisterFile& regs);
/// What every MMX instruction does to the x87 state: all registers in use, TOP zero. @pre the registers are home.
void enter_mmx(RegisterFile& regs);

/// The FPU as after power-up (FCW 037Fh, all registers empty), MXCSR 1F80h, all vectors and opmask registers zero. (SDM
/// vol. 1 §8.1.5)
void reset_x87(RegisterFile& regs);

} // namespace touka::cpu::interpreter
