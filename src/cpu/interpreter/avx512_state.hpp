// The registers that AVX-512 adds, as XSAVE components. (Intel SDM vol. 1 rev. 084 §13.5.6)
#pragma once

#include <cstdint>
#include <span>

#include "cpu/interpreter/register_file.hpp"

namespace touka::cpu::interpreter {

/// Numbers of the components: bits of XCR0.
inline constexpr unsigned kOpmaskComponent = 5, kZmmHi256Component = 6, kHi16ZmmComponent = 7;

/// What of a component code moves, in the form of the XSAVE area. Outside of 64-bit mode there are ZMM0 to ZMM7 alone.
/// @param component one of those above. Whoever writes kZmmHi256Component calls note_hi256().
[[nodiscard]] std::span<std::uint8_t> component_bytes(RegisterFile& regs, unsigned component, bool is_64bit);

/// Calls visit(number, component_bytes()) for those of the three that are among `components`, bits of XCR0.
/// @return false as soon as one of the calls did.
bool for_each_component(RegisterFile& regs, std::uint64_t components, bool is_64bit, auto&& visit) {
    for (unsigned n = kOpmaskComponent; n <= kHi16ZmmComponent; ++n)
        if ((components >> n & 1) != 0 && !visit(n, component_bytes(regs, n, is_64bit))) return false;
    return true;
}

/// Finds out whether zmm_hi256 is in use.
void note_hi256(RegisterFile& regs);

/// Bits of XCR0: those of the three components that are not all zeros.
[[nodiscard]] std::uint64_t avx512_in_use(const RegisterFile& regs);

[[nodiscard]] bool is_zero(std::span<const std::uint8_t> bytes);

} // namespace touka::cpu::interpreter
