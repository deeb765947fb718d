// SYSCALL, SYSRET, SYSENTER and SYSEXIT, as Intel's or AMD's processors do them by the vendor that CPUID shows.
// (AMD64 APM vol. 3 rev. 3.36; Intel SDM vol. 2 rev. 084; the instructions' own pages)
#pragma once

#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

// ExecuteFunctions.
[[nodiscard]] Outcome execute_syscall(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_sysret(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_sysenter(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_sysexit(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
