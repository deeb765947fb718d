#include "cpu/interpreter/simd_exceptions.hpp"

#include <array>
#include <cstring>

#include "cpu/interpreter/x87_state.hpp"
#include "spec/x86/floating_point_state.hpp"

namespace touka::cpu::interpreter {
namespace {

namespace mxcsr = spec::x86::mxcsr;

/// Found before the operation is carried out, for all elements; when one of them is unmasked, none of the others shows.
constexpr std::uint32_t kBeforeComputation = mxcsr::IE | mxcsr::DE | mxcsr::ZE;

/// The instruction run on copies of its registers and its memory.
struct Trial {
    RegisterFile regs;
    alignas(64) std::array<std::byte, HostInstruction::kMaxMemoryBytes> memory{};
    std::uint32_t raised = 0;

    Trial(const HostInstruction& instruction, const RegisterFile& before, const void* operand, std::uint32_t control)
        : regs(before) {
        if (instruction.has_memory()) std::memcpy(memory.data(), operand, instruction.memory_bytes);
        regs.mxcsr = control | mxcsr::kMasks;
        const bool x87 = instruction.kind == HostInstruction::Kind::kX87Simd;
        if (x87) load_x87(regs);
        instruction.code(&regs, memory.data());
        if (x87) save_x87(regs);
        raised = regs.mxcsr & mxcsr::kFlags;
    }
};

} // namespace

std::optional<Exception> run_with_unmasked_exceptions(const HostInstruction& instruction, RegisterFile& regs,
                                                      void* memory) {
    spill_x87(regs);
    const std::uint32_t unmasked = ~(regs.mxcsr >> mxcsr::kMaskShift) & mxcsr::kFlags;
    const bool underflow_unmasked = (unmasked & mxcsr::UE) != 0;
    std::uint32_t control = regs.mxcsr & ~mxcsr::kFlags;
    if (underflow_unmasked) control &= ~mxcsr::FZ; // FZ has no effect then
    const Trial trial(instruction, regs, memory, control);
    std::uint32_t raised = trial.raised;
    if (underflow_unmasked) {
        raised |= Trial(instruction, regs, memory, control | mxcsr::FZ).raised & mxcsr::UE;
    }
    if ((raised & unmasked) != 0) {
        const bool before = (raised & unmasked & kBeforeComputation) != 0;
        regs.mxcsr |= before ? raised & kBeforeComputation : raised;
        if (instruction.kind == HostInstruction::Kind::kX87Simd) enter_mmx(regs);
        return Exception::kSimd;
    }
    const std::uint32_t mxcsr_after = regs.mxcsr | raised;
    regs = trial.regs;
    regs.mxcsr = mxcsr_after;
    if (instruction.writes_memory) std::memcpy(memory, trial.memory.data(), instruction.memory_bytes);
    return std::nullopt;
}

} // namespace touka::cpu::interpreter
