#include "cpu/interpreter/processor.hpp"

#include <utility>

#include "cpu/interpreter/block_cache.hpp"

namespace touka::cpu::interpreter {

Processor::Processor(memory::GuestMemory& memory_, CpuBus& bus_, InterruptPort& interrupts_, CpuidTable cpuid_)
    : memory(memory_), bus(bus_), interrupts(interrupts_), cpuid(std::move(cpuid_)), model(cpuid),
      blocks(std::make_unique<BlockCache>()) {}

Processor::~Processor() = default;

} // namespace touka::cpu::interpreter
