// The engine that needs nothing of its host: every instruction is decoded and executed by us.
// Absent: doorbells (the device's register handler raises the notification itself).
#pragma once

#include <expected>
#include <memory>
#include <vector>

#include "cpu/interpreter/interpreter_vcpu.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::interpreter {

/// @thread the machine's control thread. Its vCPUs must not outlive it.
class InterpreterEngine final : public CpuEngine {
public:
    /// @param memory outlives the engine.
    /// @return kUnavailable when the host lacks instructions that the interpreter borrows (SSE2, CMPXCHG16B, XSAVE).
    [[nodiscard]] static std::expected<std::unique_ptr<InterpreterEngine>, CpuError>
    create(memory::GuestMemory& memory);

    [[nodiscard]] std::string_view name() const override { return "interpreter"; }
    [[nodiscard]] CpuFeatures features() const override;
    [[nodiscard]] CpuFeatures emulated_features() const override;
    [[nodiscard]] bool has_interrupt_chips() const override { return false; }
    /// The result's interrupt_target() is what its local APIC signals to.
    [[nodiscard]] std::expected<std::unique_ptr<Vcpu>, CpuError> make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) override;

    [[nodiscard]] std::uint64_t tsc_frequency_hz() const override { return tsc_frequency_hz_; }
    /// Nothing to bring: vCPUs mark the log when they open a page for writing.
    void collect_dirty() override {}
    void dirty_log_changed() override;
    [[nodiscard]] std::string failure() const override { return {}; }

private:
    explicit InterpreterEngine(memory::GuestMemory& memory);

    memory::GuestMemory& memory_;
    std::uint64_t tsc_frequency_hz_;
    std::vector<InterpreterVcpu*> vcpus_; // owned by the machine, which destroys them before the engine
};

} // namespace touka::cpu::interpreter
