// Breakpoints of DR0 to DR3, on execution, data and ports. (AMD64 APM vol. 2 rev. 3.42 §13.1.1; Intel SDM vol. 3 rev.
// 084 §18.2) Data and ports are met during an instruction, which goes on; the trap waits in Processor::pending_debug.
// Absent: DR6 bits of breakpoints that are met but not enabled, which processors may set as well.
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"
#include "spec/x86/debug_register.hpp"

namespace touka::cpu::interpreter {

/// DR7 enables breakpoints: each instruction is looked at by itself.
[[nodiscard]] inline bool has_breakpoints(const Processor& p) { return (p.dr[7] & spec::x86::dr7::kEnables) != 0; }

/// Those on the execution of the instruction at rip, as DR6 bits.
[[nodiscard]] std::uint64_t instruction_breakpoints(const Processor& p);

/// Some are on data: no access may go by the TLB alone.
[[nodiscard]] bool watches_data(const Processor& p);

/// The running instruction accesses [linear, linear + length_bytes), and nothing keeps it from that any more.
void note_data_access(Processor& p, std::uint64_t linear, unsigned length_bytes, bool write);
/// It accesses `width_bytes` ports from `port` on. Such breakpoints exist under CR4.DE.
void note_port_access(Processor& p, std::uint16_t port, unsigned width_bytes);

} // namespace touka::cpu::interpreter
