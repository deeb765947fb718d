// Control registers and XCR0: which values are legal and what a change entails. (AMD64 APM vol. 2 rev. 3.42 §3.1, §14;
// Intel SDM vol. 3 rev. 084 §2.5, §4.1)
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// MOV to CR0, CR3, CR4 without the privilege check; each flushes what it must and updates the mode.
/// @return false with #GP(0).
[[nodiscard]] bool write_cr0(Processor& p, std::uint64_t value);
[[nodiscard]] bool write_cr3(Processor& p, std::uint64_t value);
[[nodiscard]] bool write_cr4(Processor& p, std::uint64_t value);
/// WRMSR to EFER. @return false with #GP(0).
[[nodiscard]] bool write_efer(Processor& p, std::uint64_t value);

/// CR4 bits that this processor has by its CPUID.
[[nodiscard]] std::uint64_t supported_cr4(const Processor& p);
/// EFER bits that software can set.
[[nodiscard]] std::uint64_t supported_efer(const Processor& p);
/// XCR0 values that XSETBV takes: x87 always, AVX only with SSE, the three components of AVX-512 only together
/// and with AVX, and of them all what CPUID leaf Dh shows. (SDM vol. 1 rev. 084 §13.3)
[[nodiscard]] bool is_valid_xcr0(const Processor& p, std::uint64_t value);

} // namespace touka::cpu::interpreter
