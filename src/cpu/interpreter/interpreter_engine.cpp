#include "cpu/interpreter/interpreter_engine.hpp"

#include "cpu/interpreter/executed_features.hpp"
#include "cpu/interpreter/tsc_frequency.hpp"

namespace touka::cpu::interpreter {

InterpreterEngine::InterpreterEngine(memory::GuestMemory& memory)
    : memory_(memory), tsc_frequency_hz_(host_tsc_frequency_hz()) {}

std::expected<std::unique_ptr<InterpreterEngine>, CpuError> InterpreterEngine::create(memory::GuestMemory& memory) {
    if (!host_suffices()) return std::unexpected(CpuError::kUnavailable);
    return std::unique_ptr<InterpreterEngine>(new InterpreterEngine(memory));
}

CpuFeatures InterpreterEngine::features() const { return executed_features(); }
CpuFeatures InterpreterEngine::emulated_features() const { return interpreter::emulated_features(); }

std::expected<std::unique_ptr<Vcpu>, CpuError>
InterpreterEngine::make_vcpu(std::uint32_t, const CpuidTable& cpuid_table, VcpuPorts ports) {
    if (ports.bus == nullptr || ports.interrupts == nullptr) return std::unexpected(CpuError::kInvalidState);
    auto vcpu = std::make_unique<InterpreterVcpu>(memory_, *ports.bus, *ports.interrupts, cpuid_table);
    vcpus_.push_back(vcpu.get());
    return vcpu;
}

void InterpreterEngine::dirty_log_changed() {
    for (InterpreterVcpu* vcpu : vcpus_) vcpu->forget_translations();
}

} // namespace touka::cpu::interpreter
