#include "cpu/interpreter/processor.hpp"

#include <utility>

#include "cpu/interpreter/block_cache.hpp"

namespace touka::cpu::interpreter {

Processor::Processor(memory::GuestMemory& guest_memory, CpuBus& system_bus, InterruptPort& interrupt_port,
                     CpuidTable cpuid_table)
    : memory(guest_memory), bus(system_bus), interrupts(interrupt_port), cpuid(std::move(cpuid_table)), model(cpuid),
      blocks(std::make_unique<BlockCache>()) {}

Processor::~Processor() = default;

} // namespace touka::cpu::interpreter
