// Who may use an I/O port. (AMD64 APM vol. 2 rev. 3.42 §12.2.4; Intel SDM vol. 1 rev. 084 §19.5)
#pragma once

#include <cstdint>

#include "cpu/interpreter/processor.hpp"

namespace touka::cpu::interpreter {

/// May the running code use ports [port, port + width_bytes)? By IOPL, else by the TSS's permission bitmap.
/// @return false with Processor::fault set: #GP(0), or #PF on the bitmap.
[[nodiscard]] bool port_allowed(Processor& p, std::uint16_t port, unsigned width_bytes);

} // namespace touka::cpu::interpreter
