// A guest data instruction rewritten for the host: the same opcode in 64-bit mode with its memory operand as [RSI] and
// its general registers renamed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cpu/interpreter/availability.hpp"
#include "cpu/interpreter/instruction.hpp"

namespace touka::cpu::interpreter {

/// A general register of the guest and the host register that stands for it. Operands named by ModRM or VEX.vvvv get
/// R8, R9 and R10, so that they never meet the implicit RAX, RCX and RDX, the stack or our own pointers.
struct GeneralBinding {
    std::uint8_t guest = 0;
    std::uint8_t host = 0;
    bool written = false;
    bool high_byte = false; ///< AH, CH, DH, BH: bits 15:8 of the guest's register, read only
};

/// What surrounds the instruction, and its bytes.
struct HostEncoding {
    static constexpr std::uint8_t kRegisterFileHost = 7; ///< RDI: RegisterFile*
    static constexpr std::uint8_t kMemoryHost = 6;       ///< RSI: the memory operand

    std::array<std::uint8_t, 15> bytes{};
    std::uint8_t length = 0;
    std::array<GeneralBinding, 6> general{};
    std::uint8_t general_count = 0;
    std::uint32_t vectors_used = 0; ///< bit n: XMMn, YMMn or ZMMn
    std::uint32_t vectors_written = 0;
    std::uint8_t opmasks_used = 0, opmasks_written = 0;
    bool whole_vectors = false; ///< VEX: bits 255:128 take part; legacy encodings leave them alone
    bool is_evex = false;       ///< bits 511:256 take part as well, and registers 16 to 31
    bool is_512bit = false;     ///< and can become other than zero
    bool loads_flags = false;
    bool stores_flags = false;
    bool under_mxcsr = false;

    RegisterSet needs = RegisterSet::kGeneral;
    bool touches_x87 = false; ///< x87 or MMX registers
    std::uint8_t memory_operand = 0xFF;
    std::uint8_t memory_bytes = 0;
    bool reads_memory = false;
    bool writes_memory = false;
    std::uint8_t alignment_bytes = 1;

    [[nodiscard]] std::span<const std::uint8_t> code() const { return {bytes.data(), length}; }
    [[nodiscard]] std::span<const GeneralBinding> general_registers() const { return {general.data(), general_count}; }
    /// Equal for two encodings exactly when they want the same host function.
    [[nodiscard]] std::string key() const;
};

/// @return nothing when the instruction is not a data instruction for native execution (native.hpp lists them), or
///         the host's processor does not have it.
[[nodiscard]] std::optional<HostEncoding> encode_for_host(const Instruction& instruction);

} // namespace touka::cpu::interpreter
