#pragma once

#include <memory>
#include <optional>

#include "cpu/kvm/kvm_call.hpp"
#include "cpu/kvm/kvm_kick.hpp"
#include "cpu/kvm/kvm_msr_list.hpp"
#include "cpu/vcpu.hpp"
#include "runtime/unique_fd.hpp"

namespace touka::cpu::kvm {

/// kvm_run: what kernel and user see of one vCPU's last exit.
class KvmRunMapping {
public:
    /// Empty when the kernel refuses.
    KvmRunMapping(int vcpu_fd, std::size_t length_bytes);
    ~KvmRunMapping();
    KvmRunMapping(const KvmRunMapping&) = delete;
    KvmRunMapping& operator=(const KvmRunMapping&) = delete;
    [[nodiscard]] kvm_run* get() const { return run_; }

private:
    kvm_run* run_ = nullptr;
    std::size_t length_bytes_;
};

/// What a KvmVcpu is made of.
struct KvmVcpuParts {
    runtime::UniqueFd fd;
    std::unique_ptr<KvmRunMapping> mapping;
    memory::GuestMemory* memory = nullptr;
    CpuBus* bus = nullptr;
    CpuidTable cpuid{{}};
    std::size_t xsave_bytes = 4096; ///< as KVM_CAP_XSAVE2 says
    bool paravirtual = false;       ///< the guest sees the KVM leaves
};

/// A processor in the kernel, with its local APIC. @thread its vCPU's, but for kick().
class KvmVcpu final : public Vcpu {
public:
    explicit KvmVcpu(KvmVcpuParts parts);

    [[nodiscard]] VcpuExit run() override;
    void kick() override { kick_.kick(); }
    [[nodiscard]] std::expected<CpuState, CpuError> state() override;
    [[nodiscard]] std::expected<void, CpuError> set_state(const CpuState& state) override;
    [[nodiscard]] std::string failure() const override { return failure_; }

    /// The APIC that belongs to it. Restore it after the CpuState: its TSC deadline counts on the guest's TSC.
    /// In x2APIC mode the ID register holds the 32-bit ID, else the ID in bits 31:24.
    [[nodiscard]] std::expected<LocalApicState, CpuError> local_apic_state();
    [[nodiscard]] std::expected<void, CpuError> set_local_apic_state(const LocalApicState& state);

    /// What the kernel has made of the CPUID table: kernels that do not trap CPUID everywhere put the host's bits in.
    [[nodiscard]] CpuidTable accepted_cpuid() const;

    /// Non-maskable interrupt, as from the LINT1 pin.
    void inject_nmi();
    /// Tells a guest with kvmclock that it stood still, so that its lockup detectors stay quiet.
    void mark_paused();

private:
    /// Does what the guest wants of the outside. Nothing: go on.
    [[nodiscard]] std::optional<VcpuExit> handle_exit();
    void handle_port();
    void handle_memory();
    [[nodiscard]] VcpuExit fail_with_registers();
    /// A failed call, noted for failure().
    [[nodiscard]] std::unexpected<CpuError> fail(std::string_view call);

    KvmVcpuParts parts_;
    kvm_run& run_;
    KvmKick kick_;
    KvmMsrList msrs_;
    std::string failure_;
};

} // namespace touka::cpu::kvm
