// The saved form of x87, SSE, AVX and AVX-512 state: FXSAVE and XSAVE areas. (Intel SDM vol. 1 rev. 084 §10.5, §13)
// Absent: XSAVES/XRSTORS (CPUID shows none), components other than these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/processor.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {

/// XINUSE, what XGETBV with ECX = 1 answers with (masked by XCR0): components that are not in their initial state.
/// @pre the x87 registers are home (spill_x87).
[[nodiscard]] std::uint64_t components_in_use(const RegisterFile& regs);

/// Standard-format XSAVE image: legacy area, header, AVX at 576: 832 bytes. Behind that the components of AVX-512, at
/// the places that CPUID tells, when XCR0 enables them or they are in use. For Vcpu::state().
[[nodiscard]] std::vector<std::uint8_t> save_xsave_image(Processor& p);
/// @return false, with nothing changed, when the image is compacted, too short, has components that the processor has
///         not, or reserved MXCSR bits. An empty image is the initial state.
[[nodiscard]] bool load_xsave_image(Processor& p, std::span<const std::uint8_t> image);

// ExecuteFunctions, reached through find_data_instruction. Each brings the x87 registers home first.
[[nodiscard]] Outcome execute_fxsave(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_fxrstor(Processor& p, const Instruction& i);
/// XSAVE, XSAVEOPT and XSAVEC, with and without REX.W.
[[nodiscard]] Outcome execute_xsave(Processor& p, const Instruction& i);
[[nodiscard]] Outcome execute_xrstor(Processor& p, const Instruction& i);

} // namespace touka::cpu::interpreter
