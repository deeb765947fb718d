// Machine code around a rewritten instruction: void f(RegisterFile* in RDI, void* memory in RSI).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/interpreter/host_encoding.hpp"

namespace touka::cpu::interpreter {

/// Position-independent; touches only caller-saved registers and 8 bytes below the stack pointer.
[[nodiscard]] std::vector<std::uint8_t> assemble_host_function(const HostEncoding& encoding);

} // namespace touka::cpu::interpreter
