// The engine with hardware assist: VT-x or SVM behind /dev/kvm, interrupt chips in the kernel.
// Absent: dirty ring (the bitmap serves), nested virtualization, Hyper-V and Xen interfaces, SMM.
#pragma once

#include <atomic>
#include <expected>
#include <memory>

#include "cpu/kvm/kvm_interrupts.hpp"
#include "cpu/kvm/kvm_memory.hpp"
#include "cpu/kvm/kvm_system.hpp"
#include "cpu/kvm/kvm_vcpu.hpp"
#include "cpu/vcpu.hpp"

namespace touka::cpu::kvm {

/// What the whole machine's kernel clock says, for guests that see kvmclock.
struct KvmClockState {
    static constexpr std::uint16_t kVersion = 1;
    std::uint64_t nanoseconds = 0;
    void describe(auto& archive) { archive(nanoseconds); }
    bool operator==(const KvmClockState&) const = default;
};

/// One machine in the kernel. The vCPUs it makes are KvmVcpu and live shorter than it.
/// @thread the machine's control thread, but for interrupts() and the doorbells: any thread.
class KvmEngine final : public CpuEngine {
public:
    /// @param memory outlives the engine; its RAM becomes the guest's at once.
    [[nodiscard]] static std::expected<std::unique_ptr<KvmEngine>, KvmFailure> create(memory::GuestMemory& memory,
                                                                                      std::uint32_t vcpu_count);

    [[nodiscard]] std::string_view name() const override { return "kvm"; }
    [[nodiscard]] CpuFeatures features() const override { return system_.features(); }
    [[nodiscard]] bool has_interrupt_chips() const override { return true; }
    [[nodiscard]] std::expected<std::unique_ptr<Vcpu>, CpuError> make_vcpu(std::uint32_t index, const CpuidTable& cpuid,
                                                                           VcpuPorts ports) override;
    /// The same with its own type, for its local APIC.
    [[nodiscard]] std::expected<std::unique_ptr<KvmVcpu>, CpuError> make_kvm_vcpu(std::uint32_t index,
                                                                                  const CpuidTable& cpuid, CpuBus& bus);
    /// Of the host's kernel for new vCPUs; 0 when it does not say.
    [[nodiscard]] std::uint64_t tsc_frequency_hz() const override { return tsc_frequency_hz_; }
    void collect_dirty() override;
    void dirty_log_changed() override;
    [[nodiscard]] std::string failure() const override { return failure_; }

    bool attach_doorbell(const Doorbell& doorbell) override;
    void detach_doorbell(const Doorbell& doorbell) override;

    [[nodiscard]] KvmInterrupts& interrupts() { return *interrupts_; }
    /// For DeviceMemoryMap::set_listener: what it tells of, processors reach by themselves.
    [[nodiscard]] memory::DeviceMemoryListener& device_memory() { return memory_; }

    /// @pre all vCPUs stopped.
    [[nodiscard]] std::expected<KvmClockState, CpuError> clock();
    [[nodiscard]] std::expected<void, CpuError> set_clock(const KvmClockState& state);

private:
    KvmEngine(KvmSystem system, runtime::UniqueFd vm, memory::GuestMemory& memory);
    [[nodiscard]] std::expected<void, KvmFailure> set_up(std::uint32_t vcpu_count);
    [[nodiscard]] std::unexpected<CpuError> fail(KvmFailure failure);

    KvmSystem system_;
    runtime::UniqueFd vm_;
    memory::GuestMemory& guest_memory_;
    KvmMemory memory_;
    std::unique_ptr<KvmInterrupts> interrupts_;
    std::uint64_t tsc_frequency_hz_ = 0;
    std::string failure_;
};

} // namespace touka::cpu::kvm
