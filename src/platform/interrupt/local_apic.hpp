// The local APIC of a software processor, xAPIC and x2APIC. (Intel SDM vol. 3 rev. 084 ch. 11)
// Absent: SMI, performance counter and thermal interrupts (their LVT entries are plain storage), CMCI, directed EOI,
// level-triggered LINT0/LINT1 in Fixed mode, a source of LINT1, relocation of the APIC ID.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cpu/cpu_state.hpp"
#include "cpu/interrupt_port.hpp"
#include "platform/device.hpp"
#include "platform/interrupt/local_apic_bus.hpp"
#include "platform/interrupt/local_apic_timer.hpp"
#include "spec/apic/local_apic.hpp"

namespace touka::platform {

struct LocalApicConfig {
    std::uint32_t apic_id = 0; ///< the vCPU's index
    bool bootstrap = false;    ///< the processor that starts the machine
    std::uint64_t tsc_frequency_hz = 1'000'000'000;
};

/// One processor's interrupt controller.
/// Threads: InterruptPort is the processor's own thread; accept(), matches() and set_lint0() are any thread, take no
/// lock and never wait; Device calls come while everything is paused. The registers are atomics, laid out as the page
/// shows them: IRR and TMR are changed by everybody, ISR only by the owner. Whoever requests sets IRR first, then
/// attention_; the owner takes attention_ back first, then looks at IRR; all sequentially consistent, so that one of
/// them sees the other's write.
/// Lock order of the interrupt chips: a device's lock, then SharedLine/GsiLines, 8259 or I/O APIC, then (no lock) here.
class LocalApic final : public cpu::InterruptPort, public Device {
public:
    /// Adds itself to the bus, which outlives it, as `timers` does.
    LocalApic(LocalApicConfig config, LocalApicBus& bus, runtime::Timers& timers);
    /// Before the machine starts: the processor, borrowed, and its time stamp counter. `guest_tsc` is called on the
    /// processor's thread, and from restore(), so the processor's state must be restored before its APIC's.
    void connect(cpu::InterruptTarget& target, std::function<std::uint64_t()> guest_tsc);

    [[nodiscard]] std::uint32_t apic_id() const { return config_.apic_id; }
    /// IA32_APIC_BASE.EN: messages reach it. Any thread.
    [[nodiscard]] bool enabled() const { return base().get(spec::apic::apic_base::EN); }
    /// Does a message with this destination mean this APIC? (§11.6.2) Any thread.
    [[nodiscard]] bool matches(std::uint32_t destination, bool logical) const;
    /// Takes an interrupt. Any thread. @return false: a vector while software-disabled, or an illegal one.
    bool accept(spec::apic::DeliveryMode mode, std::uint8_t vector, bool level);
    /// The local interrupt pin 0, to which the 8259's INT output is wired. Any thread.
    void set_lint0(bool asserted);

    // cpu::InterruptPort
    [[nodiscard]] bool has_interrupt() const override {
        return attention_.load(std::memory_order_seq_cst) && take_a_look();
    }
    [[nodiscard]] std::optional<std::uint8_t> acknowledge() override;
    [[nodiscard]] std::uint8_t task_priority_class() const override;
    void set_task_priority_class(std::uint8_t priority) override;
    [[nodiscard]] std::optional<std::uint64_t> read_msr(std::uint32_t index) override;
    [[nodiscard]] bool write_msr(std::uint32_t index, std::uint64_t value) override;
    [[nodiscard]] std::optional<spec::GuestAddress> page() const override;
    [[nodiscard]] std::uint32_t read_page(std::uint32_t offset) override;
    void write_page(std::uint32_t offset, std::uint32_t value) override;
    void reset_by_init() override;

    // Device
    [[nodiscard]] std::string_view name() const override { return name_; }
    /// As firmware leaves it, for kernels are started without any: on the bootstrap processor LINT0 takes ExtINT.
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    using LocalApicRegister = spec::apic::LocalApicRegister;
    static constexpr std::size_t kWordsPerBank = 8; // ISR, TMR, IRR: 256 bits

    [[nodiscard]] static constexpr std::size_t word_index(LocalApicRegister name) {
        return static_cast<std::size_t>(name) / spec::apic::kLocalApicRegisterStride;
    }
    [[nodiscard]] std::atomic<std::uint32_t>& word(LocalApicRegister name) { return registers_[word_index(name)]; }
    [[nodiscard]] const std::atomic<std::uint32_t>& word(LocalApicRegister name) const {
        return registers_[word_index(name)];
    }
    [[nodiscard]] std::uint32_t load(LocalApicRegister name) const {
        return word(name).load(std::memory_order_relaxed);
    }
    void store(LocalApicRegister name, std::uint32_t value) { word(name).store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::atomic<std::uint32_t>& bank_word(LocalApicRegister bank, std::uint8_t vector) {
        return registers_[word_index(bank) + vector / 32];
    }
    /// The highest vector of ISR or IRR; -1 when empty.
    [[nodiscard]] int highest(LocalApicRegister bank) const;

    [[nodiscard]] spec::apic::ApicBase base() const {
        return spec::apic::ApicBase{apic_base_.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] bool in_x2apic_mode() const { return enabled() && base().get(spec::apic::apic_base::EXTD); }
    [[nodiscard]] bool software_enabled() const;

    bool accept_vector(std::uint8_t vector, bool level);
    void report_error(std::uint32_t esr_bits);
    [[nodiscard]] bool external_interrupt_ready() const;
    [[nodiscard]] bool deliverable() const;
    [[nodiscard]] bool take_a_look() const;
    void notify();
    /// After a change of TPR, ISR or an LVT entry: PPR, and tell the processor what became deliverable.
    void reconsider();
    void end_of_interrupt();

    /// @return empty: no such register.
    [[nodiscard]] std::optional<std::uint32_t> read_register(std::uint32_t offset) const;
    /// @return false: no such register, or not writable.
    bool write_register(LocalApicRegister name, std::uint32_t value);
    [[nodiscard]] bool write_x2apic(std::uint32_t offset, std::uint64_t value);
    [[nodiscard]] bool write_apic_base(std::uint64_t value);
    void write_lvt(LocalApicRegister name, std::uint32_t writable, std::uint32_t value);
    void write_lvt_timer(std::uint32_t value);
    void write_svr(std::uint32_t value);
    void write_icr(spec::apic::Icr icr, std::uint32_t destination);
    void write_tsc_deadline(std::uint64_t deadline);
    void arm_tsc_deadline(std::uint64_t deadline);
    void reset_registers();
    void store_identity();
    void timer_expired();

    const LocalApicConfig config_;
    const std::string name_;
    LocalApicBus& bus_;
    cpu::InterruptTarget* target_ = nullptr;
    std::function<std::uint64_t()> guest_tsc_;

    alignas(64) std::array<std::atomic<std::uint32_t>, 64> registers_{};
    /// Something may have become deliverable. Pairs with itself and IRR as said above.
    alignas(64) mutable std::atomic<bool> attention_{false};
    std::atomic<bool> lint0_{false};
    std::atomic<std::uint32_t> errors_{0}; // since ESR was last written
    alignas(64) std::atomic<std::uint64_t> apic_base_{0};
    LocalApicTimer timer_; // last: its callback uses all of the above
};

} // namespace touka::platform
