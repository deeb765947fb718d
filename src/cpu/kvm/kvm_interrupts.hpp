// The interrupt and timer chips in the kernel: lines, messages, eventfds, and the chips' states.
// Absent: split irqchip (LAPIC alone in the kernel).
#pragma once

#include <expected>
#include <optional>
#include <vector>

#include "cpu/interrupt_chip_state.hpp"
#include "cpu/kvm/kvm_call.hpp"
#include "runtime/guarded.hpp"
#include "runtime/notification.hpp"

namespace touka::cpu::kvm {

/// Local APICs (one a vCPU), I/O APIC, two 8259A and an 8254 in the kernel. GSI 0-15 reach the 8259 pair and the
/// I/O APIC (GSI 0 its pin 2, as the MADT's override says; GSI 2 is only the cascade), GSI 16-23 the I/O APIC.
/// Any thread, unless said otherwise.
class KvmInterrupts {
public:
    /// First GSI that is not a pin: those from here on are messages.
    static constexpr std::uint32_t kFirstMessageGsi = 24;

    /// Makes the chips. To be called before the first vCPU.
    /// @param vm_fd outlives this.  @param gsi_limit how many GSIs the kernel routes (KVM_CAP_IRQ_ROUTING).
    [[nodiscard]] static std::expected<std::unique_ptr<KvmInterrupts>, KvmFailure> create(int vm_fd,
                                                                                          std::uint32_t gsi_limit);

    /// The level of one input pin. Whoever shares a GSI combines the levels of its sources before.
    void set_irq_line(std::uint32_t gsi, bool asserted);
    /// Delivers one message-signalled interrupt now.
    void signal_msi(std::uint64_t address, std::uint32_t data);

    /// A GSI that stands for a message, for attach_irqfd.  @return kUnsupported when all are taken.
    [[nodiscard]] std::expected<std::uint32_t, KvmFailure> add_msi_route(std::uint64_t address, std::uint32_t data);
    /// @pre gsi is from add_msi_route and was not removed.
    [[nodiscard]] std::expected<void, KvmFailure> change_msi_route(std::uint32_t gsi, std::uint64_t address,
                                                                   std::uint32_t data);
    void remove_msi_route(std::uint32_t gsi);

    /// From now on the kernel delivers `gsi` whenever the eventfd `trigger` is signalled.
    /// @param resample for level-triggered pins: signalling asserts, the guest's EOI deasserts and signals `resample`.
    /// Both outlive the attachment.
    [[nodiscard]] std::expected<void, KvmFailure> attach_irqfd(std::uint32_t gsi, int trigger,
                                                               const runtime::Notification* resample = nullptr);
    /// When it returns, what was signalled before has been delivered.
    void detach_irqfd(std::uint32_t gsi, int trigger);
    /// Whether the kernel takes the count out of an eventfd that it delivers, so that nobody else sees the signal:
    /// since Linux 5.12. Asked of the kernel once, by a signal that nobody gets.
    [[nodiscard]] bool irqfd_takes_count() const { return irqfd_takes_count_; }

    // States, for save and restore: @thread the control thread, while vCPUs are stopped.
    [[nodiscard]] std::expected<IoApicState, KvmFailure> io_apic_state() const;
    [[nodiscard]] std::expected<void, KvmFailure> set_io_apic_state(const IoApicState& state);
    [[nodiscard]] std::expected<PicPairState, KvmFailure> pic_state() const;
    [[nodiscard]] std::expected<void, KvmFailure> set_pic_state(const PicPairState& state);
    /// The kernel starts channel 0's period anew when it is set.
    [[nodiscard]] std::expected<PitState, KvmFailure> pit_state() const;
    [[nodiscard]] std::expected<void, KvmFailure> set_pit_state(const PitState& state);

private:
    struct MsiRoute {
        std::uint64_t address = 0;
        std::uint32_t data = 0;
    };
    using Routes = std::vector<std::optional<MsiRoute>>; // index: GSI - kFirstMessageGsi

    KvmInterrupts(int vm_fd, std::uint32_t gsi_limit) : vm_fd_(vm_fd), gsi_limit_(gsi_limit) {}
    [[nodiscard]] std::expected<void, KvmFailure> install(const Routes& routes);
    void try_irqfd();

    int vm_fd_;
    bool irqfd_takes_count_ = false;
    std::uint32_t gsi_limit_;
    runtime::Guarded<Routes> routes_; // innermost: nothing else is locked under it
};

} // namespace touka::cpu::kvm
