// A virtual processor and the engine that makes them: the one interface of KVM, interpreter and translator.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "cpu/bus.hpp"
#include "cpu/cpu_state.hpp"
#include "cpu/cpuid.hpp"
#include "cpu/doorbell.hpp"
#include "cpu/interrupt_port.hpp"
#include "memory/guest_memory.hpp"

namespace touka::cpu {

/// Why run() came back.
enum class VcpuExit {
    kKicked,   ///< somebody called kick(); nothing happened in the guest
    kShutdown, ///< triple fault: the processor is dead until reset
    kFailed,   ///< the engine cannot go on; failure() says why
    kDiffered, ///< the engine's check of itself found that it is wrong; failure() shows it
};

enum class CpuError {
    kUnavailable, ///< the engine does not exist on this host (no /dev/kvm, ...)
    kNoPermission,
    kHostFailure,  ///< a system call failed; CpuEngine::failure() has the text
    kInvalidState, ///< a state that no processor can be in, or of other features
    kUnsupported,
};

/// One processor. Its thread calls run() and, while it is not running, state() and set_state().
class Vcpu {
public:
    virtual ~Vcpu() = default;
    /// Executes until something in VcpuExit happens. Waits inside while the processor is halted or waits for its
    /// start-up IPI. MMIO and port accesses go through the CpuBus on this thread.
    [[nodiscard]] virtual VcpuExit run() = 0;
    /// Makes run() return kKicked soon; if it is not running, the next run() returns at once. Any thread.
    virtual void kick() = 0;
    [[nodiscard]] virtual std::expected<CpuState, CpuError> state() = 0;
    [[nodiscard]] virtual std::expected<void, CpuError> set_state(const CpuState& state) = 0;
    /// Text for the user after kFailed and kDiffered: what happened, where, with the guest's registers.
    [[nodiscard]] virtual std::string failure() const = 0;
    /// What the guest wanted and the engine does not have (instructions, registers): lines for the user, empty if all
    /// was well. While the vCPU is stopped.
    [[nodiscard]] virtual std::string report() const { return {}; }
    /// What the vCPU's local APIC signals to. Software engines only: nullptr where the APIC is in the kernel.
    [[nodiscard]] virtual InterruptTarget* interrupt_target() { return nullptr; }
    /// The guest's time stamp counter now, which TSC deadlines are compared with. Software engines only; on the vCPU's
    /// thread, or while it is stopped.
    [[nodiscard]] virtual std::uint64_t guest_tsc() const { return 0; }
    /// The guest's time stamp counter minus the host's. A state tells what the counter was; that it counts on without a
    /// gap in another vCPU of this host, this offset tells. Software engines only; while the vCPU is stopped.
    [[nodiscard]] virtual std::uint64_t tsc_offset() const { return 0; }
    virtual void set_tsc_offset(std::uint64_t) {}
};

struct VcpuPorts {
    CpuBus* bus = nullptr;
    InterruptPort* interrupts = nullptr; ///< software engines only; nullptr on KVM
};

/// Makes processors for one machine. Used from the machine's control thread.
class CpuEngine : public DoorbellRegistry {
public:
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Feature bits this engine can deliver on this host.
    [[nodiscard]] virtual CpuFeatures features() const = 0;
    /// Those of them that it does by itself, so that the host need not have them.
    [[nodiscard]] virtual CpuFeatures emulated_features() const { return {}; }
    /// true: the kernel has LAPIC, IOAPIC, 8259 and 8254; the machine makes none of its own.
    [[nodiscard]] virtual bool has_interrupt_chips() const = 0;
    /// @pre index < the count given at creation, each once.
    [[nodiscard]] virtual std::expected<std::unique_ptr<Vcpu>, CpuError>
    make_vcpu(std::uint32_t index, const CpuidTable& cpuid, VcpuPorts ports) = 0;

    /// Frequency of the guest's TSC.
    [[nodiscard]] virtual std::uint64_t tsc_frequency_hz() const = 0;
    /// Brings pages that the engine knows to be written into GuestMemory::dirty_log. @pre all vCPUs stopped or
    /// dirty logging on.
    virtual void collect_dirty() = 0;
    /// The dirty log was switched on or off: forget what was known writable.
    virtual void dirty_log_changed() = 0;
    [[nodiscard]] virtual std::string failure() const = 0;
};

} // namespace touka::cpu
