// Delivery of exceptions and interrupts through the IVT or IDT. (AMD64 APM vol. 2 rev. 3.42 §8; Intel SDM vol. 3
// rev. 084 §6)
// Absent: task gates (#GP with the vector), virtual-8086 mode, machine checks.
#pragma once

#include <cstdint>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

enum class InterruptKind : std::uint8_t {
    kExternal,           ///< from the local APIC or the 8259
    kNmi,                ///< blocks further ones until IRET
    kSoftware,           ///< INT n, INT3, INTO: the gate's DPL is checked
    kPrivilegedSoftware, ///< INT1: as kSoftware, without the check
};

/// Delivers an exception with Processor::rip as the return address, and what comes of it: a fault on the way is
/// delivered in turn, or as a double fault; a fault on the way to that sets Processor::shutdown. Writes CR2, DR6,
/// DR7.GD as the exception says; clears Processor::fault and the interrupt shadow.
/// @param fault of the instruction at Processor::rip; for traps (single step) rip is already behind it.
void deliver_exception(Processor& p, Fault fault);

/// Delivers an interrupt between instructions: Processor::rip is what comes next. Faults on the way as above.
/// @param kind kExternal or kNmi.
void deliver_interrupt(Processor& p, std::uint8_t vector, InterruptKind kind);

/// INT n, INT3, INTO and INT1 at Processor::rip, returning to next_rip.
/// @return kJumped, or kFault: then the fault is an ordinary one of the instruction.
[[nodiscard]] Outcome deliver_software_interrupt(Processor& p, std::uint8_t vector, InterruptKind kind);

/// Delivers Processor::pending_event and clears it. A software interrupt is dropped: rip still points at its
/// instruction, which is executed again.
/// @pre pending_event is set.
void deliver_pending_event(Processor& p);

} // namespace touka::cpu::interpreter
