// The states of a processor after power-on, INIT and a start-up IPI. (Intel SDM vol. 3 rev. 084 table 9-1, §8.4;
// AMD64 APM vol. 2 rev. 3.42 §14.1.3)
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// Power-on: real mode at FFFF'FFF0h. The processor runs if its APIC says that it is the boot processor, else it
/// waits for a start-up IPI. The caller resets the APIC.
void reset_state(Processor& p);
/// INIT: as power-on, but FPU and vector registers, MSRs other than EFER, TSC and CR0.CD, NW keep their values. Also
/// gives the local APIC its INIT state.
void apply_init(Processor& p);
/// Start-up IPI: real mode at vector * 4096. @pre run_state == kWaitForSipi.
void apply_startup(Processor& p, std::uint8_t vector);

} // namespace touka::cpu::interpreter
