// The guest's x87 and MMX registers on their way between RegisterFile::legacy and the host's FPU.
#pragma once

#include "cpu/interpreter/register_file.hpp"

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

/// The FPU as after FNINIT (FCW 037Fh, all registers empty), MXCSR 1F80h, all vectors zero. (SDM vol. 1 §8.1.5)
void reset_x87(RegisterFile& regs);

} // namespace touka::cpu::interpreter
