// What translated code changes of a processor, so that two ways of running it can be compared.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::translator {

/// The registers that a block works on beside the general ones.
struct RegisterParts {
    bool vectors = false, x87 = false;
};

/// Everything but memory.
struct VerifiedState {
    std::array<std::uint64_t, 16> gpr{};
    std::uint64_t rip = 0, rflags = 0;
    std::uint64_t fs_base = 0, gs_base = 0, kernel_gs_base = 0;
    std::uint32_t mxcsr = 0;
    decltype(interpreter::RegisterFile::vector) vector{};
    decltype(interpreter::RegisterFile::hi16_zmm) hi16_zmm{};
    decltype(interpreter::RegisterFile::zmm_hi256) zmm_hi256{};
    decltype(interpreter::RegisterFile::opmask) opmask{};
    decltype(interpreter::RegisterFile::legacy) x87{};

    /// @pre x87 registers are home, if they are among the parts.
    void take(const interpreter::Processor& p, RegisterParts parts);
    [[nodiscard]] bool equals(const VerifiedState& other, RegisterParts parts) const;

    struct Field {
        std::string name, value;
    };
    /// As text; the same fields in the same order for each state. The first kFirstFields are worth a look always.
    [[nodiscard]] std::vector<Field> fields(RegisterParts parts) const;
    static constexpr std::size_t kFirstFields = 18;

private:
    [[nodiscard]] bool has_same_vectors(const VerifiedState& other) const;
};

} // namespace touka::cpu::translator
