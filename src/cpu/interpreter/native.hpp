// The guest's data instructions run by the host's own processor: x87, MMX, SSE to SSE4.2, AES, PCLMULQDQ, SHA, AVX,
// AVX2, FMA, F16C, AVX-VNNI, GFNI, VAES, VPCLMULQDQ, BMI, ADX, CRC32, POPCNT, LZCNT, MOVBE; and of AVX-512 F, CD, BW,
// DQ, VL, IFMA, VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ, BF16, VP2INTERSECT.
//
// Each distinct instruction becomes a small host function: it loads the registers that the instruction touches from the
// RegisterFile, runs the instruction itself with its memory operand as [pointer], and stores the registers back.
//
// Absent: AVX512_FP16, what only Xeon Phi has, XOP, SSE4a, 3DNow! (CPUID shows none of them). Instructions whose memory
// operand faults element by element, or which are about the state itself, are in data_instruction.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/code_memory.hpp"
#include "cpu/interpreter/instruction.hpp"
#include "cpu/interpreter/masked_operand.hpp"
#include "cpu/interpreter/register_file.hpp"
#include "spec/x86/exception.hpp"

namespace touka::cpu::interpreter {

/// One instruction made executable. Owned by its HostCode.
/// Use: check_available(p, needs); resolve the memory operand, if any, to a host pointer (a bounce buffer when it
/// crosses a page or is not RAM); check `alignment_bytes` against the linear address (#GP(0)); run.
struct HostInstruction {
    using Code = void (*)(RegisterFile*, void* memory);
    static constexpr std::uint8_t kNoMemory = 0xFF;
    /// The longest memory operand: FNSAVE's and FRSTOR's.
    static constexpr std::size_t kMaxMemoryBytes = 108;

    enum class Kind : std::uint8_t {
        kPlain,          ///< raises nothing
        kSimdFloat,      ///< works under MXCSR: #XM
        kX87,            ///< x87 or MMX: #MF of an earlier instruction
        kX87Environment, ///< FNSTENV, FNSAVE, FLDENV, FRSTOR: move pointers that must not be the host's
        kX87Simd,        ///< MMX and MXCSR: CVTPS2PI and so on
    };

    Code code = nullptr;
    Kind kind = Kind::kPlain;
    RegisterSet needs = RegisterSet::kGeneral;
    std::uint8_t memory_operand = kNoMemory; ///< index into Instruction::operands
    std::uint8_t memory_bytes = 0;
    bool reads_memory = false;
    bool writes_memory = false;
    std::uint8_t alignment_bytes = 1;    ///< that the linear address must have: else #GP(0)
    std::optional<MaskedOperand> masked; ///< of the operand, chosen elements alone are accessed: run_masked()
    bool waits = false;                  ///< x87 kinds: a pending #MF comes first
    bool changes_masks = false; ///< x87 kinds: FCW or FSW are loaded, exceptions may become unmasked or pending

    [[nodiscard]] bool has_memory() const { return memory_operand != kNoMemory; }

    /// Runs it. Nothing but registers and [memory, memory + memory_bytes) is touched.
    /// @param memory host address of the operand; ignored when there is none. A bounce buffer of an instruction that
    ///        writes must hold the guest's bytes before, since an x87 store with an unmasked exception leaves them.
    ///        It must have alignment_bytes.
    /// @return #XM, #MF: the instruction did not complete; for #XM the flags in MXCSR are set. See
    ///         raise_floating_point (availability.hpp) for what the guest gets.
    [[nodiscard]] std::optional<Exception> run(RegisterFile& regs, void* memory) const {
        if (kind == Kind::kPlain) [[likely]] {
            code(&regs, memory);
            return std::nullopt;
        }
        return run_floating_point(regs, memory);
    }

private:
    [[nodiscard]] std::optional<Exception> run_floating_point(RegisterFile& regs, void* memory) const;
};

/// The host functions of one vCPU, shared by all instructions that differ only in their addressing.
/// @thread its vCPU's.
class HostCode {
public:
    HostCode();

    /// @return the instruction made executable, valid until clear(); nullptr when it is not one of those above, the
    ///         host's processor does not have it, or there is no memory left for code.
    [[nodiscard]] const HostInstruction* prepare(const Instruction& instruction);

    /// More than half of the memory for code is used: a good time to drop all blocks and clear().
    [[nodiscard]] bool is_filling() const { return memory_.used_bytes() > memory_.size_bytes() / 2; }
    /// Forgets everything: every HostInstruction handed out is invalid.
    void clear();

private:
    CodeMemory memory_;
    std::unordered_map<std::string, std::unique_ptr<HostInstruction>> by_encoding_;
};

} // namespace touka::cpu::interpreter
