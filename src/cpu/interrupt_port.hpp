// Where a software processor and its local APIC touch. The KVM engine has its APIC in the kernel and uses neither.
#pragma once

#include <cstdint>
#include <optional>

#include "spec/address.hpp"

namespace touka::cpu {

/// The local APIC as its own processor sees it. All calls come from that processor's thread.
class InterruptPort {
public:
    virtual ~InterruptPort() = default;
    /// Is there a maskable interrupt of a priority above the task and processor priority (or an ExtINT of the 8259)?
    /// A plain load in the common case.
    [[nodiscard]] virtual bool has_interrupt() const = 0;
    /// The INTA cycle: the vector to deliver now, moved from request to service. Empty when it went away.
    [[nodiscard]] virtual std::optional<std::uint8_t> acknowledge() = 0;

    /// CR8 = TPR bits 7:4. (AMD64 APM vol. 2 §16.3)
    [[nodiscard]] virtual std::uint8_t task_priority_class() const = 0;
    virtual void set_task_priority_class(std::uint8_t priority) = 0;

    /// IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC range 800h-8FFh. Empty, false: #GP.
    [[nodiscard]] virtual std::optional<std::uint64_t> read_msr(std::uint32_t index) = 0;
    [[nodiscard]] virtual bool write_msr(std::uint32_t index, std::uint64_t value) = 0;

    /// The 4 KiB page of registers, while the APIC is in xAPIC mode: nothing when it is off or in x2APIC mode.
    [[nodiscard]] virtual std::optional<spec::GuestAddress> page() const = 0;
    [[nodiscard]] virtual std::uint32_t read_page(std::uint32_t offset) = 0;
    virtual void write_page(std::uint32_t offset, std::uint32_t value) = 0;

    /// INIT reached the processor: the APIC takes its INIT state (SDM vol. 3 §11.4.7.3).
    virtual void reset_by_init() = 0;
};

/// A software processor as its local APIC sees it. Any thread unless said otherwise; none of these waits.
class InterruptTarget {
public:
    virtual ~InterruptTarget() = default;
    /// InterruptPort::has_interrupt may have become true: look, and wake up from HLT.
    virtual void interrupt_pending() = 0;
    virtual void signal_nmi() = 0;
    virtual void signal_init() = 0;
    /// What RDTSC answers, which is what TSC deadlines count on. On the processor's thread, or while it does not run.
    [[nodiscard]] virtual std::uint64_t time_stamp_counter() const = 0;
    /// Start-up IPI: real mode at vector * 4096, if it is waiting for one; ignored else.
    virtual void signal_startup(std::uint8_t vector) = 0;
};

} // namespace touka::cpu
