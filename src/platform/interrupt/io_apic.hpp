// The I/O APIC: 24 pins to interrupt messages. (Intel 82093AA datasheet, order number 290566-001)
// Absent: the EOI register of version 20h and later (KVM's chip has none, and guests move between both), delivery
// status (messages arrive at once, so it always reads idle), input polarity (lines say asserted or not).
#pragma once

#include <cstdint>
#include <mutex>

#include "cpu/interrupt_chip_state.hpp"
#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/interrupt/local_apic_bus.hpp"
#include "spec/apic/io_apic.hpp"

namespace touka::platform {

/// Any thread; one lock, below devices' and above nothing: the local APICs have none.
/// Address: spec::apic::kIoApicBase, kIoApicLength, memory.
class IoApic final : public IoHandler, public EndOfInterruptSink, public Device {
public:
    /// Connects itself to the bus, which outlives it.
    explicit IoApic(LocalApicBus& bus);

    /// Sends messages there instead of over the bus: to a remapping unit. A level-triggered one always counts as
    /// accepted then. @param sink outlives it.  Before the machine starts.
    void send_messages_to(MsiSink& sink) { messages_ = &sink; }

    /// @pre pin < kIoApicPinCount.
    void set_pin(unsigned pin, bool asserted);
    /// A level-triggered interrupt was finished: delivers it again where the pin is still asserted.
    void end_of_interrupt(std::uint8_t vector) override;

    [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned width_bytes) override;
    void write(std::uint64_t offset, unsigned width_bytes, std::uint64_t value) override;

    [[nodiscard]] std::string_view name() const override { return "ioapic"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    [[nodiscard]] std::uint32_t read_register() const;
    void write_register(std::uint32_t value);
    void deliver(unsigned pin);
    [[nodiscard]] bool send(spec::apic::RedirectionEntry entry);
    void deliver_if_level_pending(unsigned pin);

    LocalApicBus& bus_;
    MsiSink* messages_ = nullptr;
    mutable std::mutex mutex_; // guards what follows
    cpu::IoApicState state_;
};

} // namespace touka::platform
