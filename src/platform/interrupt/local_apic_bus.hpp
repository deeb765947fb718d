// Where interrupt messages travel: from I/O APIC, MSI-capable devices and other local APICs to the local APICs they
// name. (Intel SDM vol. 3 rev. 084 §11.6.2)
// Absent: focus processor checking, SMI delivery (there is no SMM), ExtINT as a message (only the 8259's wire).
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "platform/interrupt_line.hpp"
#include "spec/apic/interrupt_message.hpp"
#include "spec/apic/local_apic.hpp"

namespace touka::platform {

class LocalApic;

/// An interrupt on its way. 8-bit physical destinations of FFh are widened to kBroadcast32 by whoever makes it.
struct InterruptMessage {
    std::uint32_t destination = 0;
    bool logical = false;
    spec::apic::DeliveryMode mode = spec::apic::DeliveryMode::kFixed;
    std::uint8_t vector = 0;
    bool level = false; ///< EOI is broadcast to the I/O APIC
};

/// Hears the EOI of level-triggered interrupts: the I/O APIC. Called on vCPU threads.
class EndOfInterruptSink {
public:
    virtual ~EndOfInterruptSink() = default;
    virtual void end_of_interrupt(std::uint8_t vector) = 0;
};

/// Names the vector of an ExtINT interrupt: the 8259 pair. Called on vCPU threads.
class ExternalInterruptSource {
public:
    virtual ~ExternalInterruptSource() = default;
    /// The INTA cycle; a spurious vector when the request went away.
    virtual std::uint8_t acknowledge() = 0;
};

/// Built once, then used by any thread without a lock: the list of APICs does not change while the machine runs.
/// Lowest-priority arbitration is round robin among the APICs that a message names and that accept it, as current
/// processors do it; task priorities are not compared.
class LocalApicBus final : public MsiSink {
public:
    LocalApicBus();
    /// @pre APIC IDs come in order: 0, 1, 2, ... Borrowed, as the two below; all before the machine starts.
    void add(LocalApic& apic);
    void connect(EndOfInterruptSink& sink) { end_of_interrupt_ = &sink; }
    void connect(ExternalInterruptSource& source) { external_ = &source; }

    /// @return whether an APIC took it.
    bool deliver(const InterruptMessage& message);
    /// An interprocessor interrupt. @param destination as in InterruptMessage; ignored with a shorthand.
    void send_ipi(LocalApic& sender, spec::apic::Icr icr, std::uint32_t destination);
    /// Messages outside of FEEx'xxxxh are no interrupts and vanish. Destinations have 15 bits (extended ID).
    void send(const MsiMessage& message) override;

    void end_of_interrupt(std::uint8_t vector) {
        if (end_of_interrupt_) end_of_interrupt_->end_of_interrupt(vector);
    }
    [[nodiscard]] ExternalInterruptSource* external() const { return external_; }
    /// The wire from the 8259's INT output to LINT0 of every local APIC.
    [[nodiscard]] InterruptLine& lint0() { return lint0_; }

private:
    class Lint0 final : public InterruptLine {
    public:
        explicit Lint0(LocalApicBus& bus) : bus_(bus) {}
        void set(bool asserted) override;

    private:
        LocalApicBus& bus_;
    };
    bool deliver_to_lowest_priority(const InterruptMessage& message);

    std::vector<LocalApic*> apics_; // index: APIC ID
    EndOfInterruptSink* end_of_interrupt_ = nullptr;
    ExternalInterruptSource* external_ = nullptr;
    Lint0 lint0_{*this};
    std::atomic<std::uint32_t> arbitration_{0}; // where the round robin goes on; nothing is ordered by it
};

} // namespace touka::platform
