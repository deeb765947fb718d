#include "cpu/translator/translator_engine.hpp"

#include "cpu/interpreter/executed_features.hpp"
#include "cpu/interpreter/tsc_frequency.hpp"

namespace touka::cpu::translator {

TranslatorEngine::TranslatorEngine(memory::GuestMemory& memory, Checking checking)
    : memory_(memory), tsc_frequency_hz_(interpreter::host_tsc_frequency_hz()),
      turn_(checking == Checking::kEachBlock ? std::make_unique<Turn>() : nullptr) {
    memory_.code_pages().on_invalidate([this] {
        for (TranslatorVcpu* vcpu : vcpus_) vcpu->code_written();
    });
}

TranslatorEngine::~TranslatorEngine() { memory_.code_pages().on_invalidate({}); }

std::expected<std::unique_ptr<TranslatorEngine>, CpuError> TranslatorEngine::create(memory::GuestMemory& memory,
                                                                                    Checking checking) {
    const bool suffices =
        interpreter::host_suffices() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (!suffices) return std::unexpected(CpuError::kUnavailable);
    return std::unique_ptr<TranslatorEngine>(new TranslatorEngine(memory, checking));
}

CpuFeatures TranslatorEngine::features() const { return interpreter::executed_features(); }
CpuFeatures TranslatorEngine::emulated_features() const { return interpreter::emulated_features(); }

std::expected<std::unique_ptr<Vcpu>, CpuError> TranslatorEngine::make_vcpu(std::uint32_t, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) {
    if (ports.bus == nullptr || ports.interrupts == nullptr) return std::unexpected(CpuError::kInvalidState);
    // One vCPU alone gives up its rights to pages that become code; others' have to be taken from them.
    const bool guarded = vcpus_.empty() || memory_.guard_stores();
    auto region = make_vcpu_memory(memory_, *ports.bus, *ports.interrupts, cpuid);
    auto vcpu = region ? std::make_unique<TranslatorVcpu>(std::move(region), observers_, turn_.get()) : nullptr;
    if (!guarded || !vcpu || !vcpu->is_usable()) {
        failure_ = "the host gives no memory for translated code (its limits, or a policy against executable memory); "
                   "use --engine interpreter";
        return std::unexpected(CpuError::kHostFailure);
    }
    vcpus_.push_back(vcpu.get());
    return vcpu;
}

void TranslatorEngine::dirty_log_changed() {
    for (TranslatorVcpu* vcpu : vcpus_) vcpu->forget_translations();
}

} // namespace touka::cpu::translator
