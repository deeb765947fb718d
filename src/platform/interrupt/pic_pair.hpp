// The two 8259As of a PC, cascaded through the master's input 2, and the edge/level control registers.
// (Intel 8259A datasheet, order number 231468-003; ELCR: Intel ICH9 datasheet §13.4.10)
#pragma once

#include <cstdint>
#include <mutex>

#include "platform/byte_registers.hpp"
#include "platform/device.hpp"
#include "platform/interrupt/local_apic_bus.hpp"
#include "platform/interrupt/pic8259.hpp"
#include "platform/interrupt_line.hpp"

namespace touka::platform {

/// Any thread; one lock, held while the INT output changes. Three pairs of ports: spec::pic::kMasterPort, kSlavePort
/// and kElcrPort, kPortCount each, with the handlers master_ports(), slave_ports(), elcr_ports().
class PicPair final : public ExternalInterruptSource, public Device {
public:
    /// @param output the INT pin of the master: LocalApicBus::lint0(). Outlives this.
    explicit PicPair(InterruptLine& output);

    /// @pre irq < 16; 2 is the cascade and ignored.
    void set_irq(unsigned irq, bool asserted);
    [[nodiscard]] std::uint8_t acknowledge() override;

    [[nodiscard]] IoHandler& master_ports() { return master_ports_; }
    [[nodiscard]] IoHandler& slave_ports() { return slave_ports_; }
    [[nodiscard]] IoHandler& elcr_ports() { return elcr_ports_; }

    [[nodiscard]] std::string_view name() const override { return "pic"; }
    void reset() override;
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    class ChipPorts final : public ByteRegisters {
    public:
        ChipPorts(PicPair& pair, Pic8259& chip) : pair_(pair), chip_(chip) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        PicPair& pair_;
        Pic8259& chip_;
    };
    class ElcrPorts final : public ByteRegisters {
    public:
        explicit ElcrPorts(PicPair& pair) : pair_(pair) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        PicPair& pair_;
    };
    /// Carries the slave's INT to the master and the master's to the output. @pre mutex_ is held.
    void propagate();

    InterruptLine& output_;
    mutable std::mutex mutex_; // guards what follows
    Pic8259 master_{Pic8259::Role::kMaster};
    Pic8259 slave_{Pic8259::Role::kSlave};
    bool output_asserted_ = false;
    ChipPorts master_ports_{*this, master_};
    ChipPorts slave_ports_{*this, slave_};
    ElcrPorts elcr_ports_{*this};
};

} // namespace touka::platform
