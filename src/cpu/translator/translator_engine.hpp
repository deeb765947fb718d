// The translator: x86-64 on x86-64 as generated code, several processors, no help from the host's kernel.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cpu/translator/translation_observer.hpp"
#include "cpu/translator/translator_vcpu.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::translator {

/// Whether translated code is checked while it runs.
enum class Checking : std::uint8_t {
    kOff,
    kEachBlock, ///< each block also runs on the interpreter, and vCPUs take turns; Vcpu::run ends by kDiffered
};

/// @thread the machine's control thread.
class TranslatorEngine final : public CpuEngine {
public:
    /// @return kUnavailable on hosts without AVX2 and BMI2, and where memory may not be executed.
    [[nodiscard]] static std::expected<std::unique_ptr<TranslatorEngine>, CpuError>
    create(memory::GuestMemory& memory, Checking checking = Checking::kOff);
    ~TranslatorEngine() override;

    /// From now on `observer` is told of each block that is translated. Before any vCPU is made.
    void observe(std::unique_ptr<TranslationObserver> observer) { observers_.push_back(std::move(observer)); }

    [[nodiscard]] std::string_view name() const override { return "translator"; }
    [[nodiscard]] CpuFeatures features() const override;
    [[nodiscard]] CpuFeatures emulated_features() const override;
    [[nodiscard]] bool has_interrupt_chips() const override { return false; }
    [[nodiscard]] std::expected<std::unique_ptr<Vcpu>, CpuError> make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) override;
    [[nodiscard]] std::uint64_t tsc_frequency_hz() const override { return tsc_frequency_hz_; }
    void collect_dirty() override {}
    void dirty_log_changed() override;
    [[nodiscard]] std::string failure() const override { return failure_; }

private:
    TranslatorEngine(memory::GuestMemory& memory, Checking checking);

    memory::GuestMemory& memory_;
    std::uint64_t tsc_frequency_hz_;
    std::unique_ptr<Turn> turn_; ///< for checking; outlives the vCPUs
    TranslationObservers observers_;
    std::vector<TranslatorVcpu*> vcpus_; ///< owned by the machine; outlived by guest memory's stores
    std::string failure_;
};

} // namespace touka::cpu::translator
