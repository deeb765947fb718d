// The memory that one vCPU's translated code works in: a stack, and above it the Frame and the Processor.
#pragma once

#include <cstddef>
#include <memory>

#include "cpu/translator/frame.hpp"

namespace touka::cpu::translator {

/// Below the stack lies a page that nobody may touch.
/// @return nullptr when the host has no memory.
[[nodiscard]] std::unique_ptr<VcpuMemory, void (*)(VcpuMemory*)>
make_vcpu_memory(memory::GuestMemory& memory, CpuBus& bus, InterruptPort& interrupts, CpuidTable cpuid);

} // namespace touka::cpu::translator
