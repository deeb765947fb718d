// Runs host instructions whose memory operand is under an opmask register.
#pragma once

#include <cstdint>

#include "cpu/interpreter/native.hpp"
#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// A whole operand in RAM on one page that is in the TLB is the host instruction's; of others the chosen elements are
/// loaded and stored one by one, after all of them have been found to be there. Outside of 64-bit mode the caller
/// checks the segment's limit for the whole operand, masked elements among it.
/// Where none is chosen nothing is checked, alignment included, as on AMD's processors (Zen 5, measured).
/// @pre native.masked; available. @param access access::kStack or 0.
/// @return false with Processor::fault set.
[[nodiscard]] bool run_masked(Processor& p, const HostInstruction& native, std::uint64_t linear, std::uint8_t access);

} // namespace touka::cpu::interpreter
