// The chipset's ways to reset the machine: ports CF9h and 92h. (Intel ICH9 datasheet, order number 316972-004,
// §13.7.5 RST_CNT, §13.7.3 PORT92)
// Absent: a closed A20 gate (its bit reads 1), the difference between soft, hard and full reset.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "platform/byte_registers.hpp"
#include "platform/device.hpp"

namespace touka::platform {

/// Any thread, no lock. One byte each: spec::acpi::kResetControlPort with the handler reset_control_port(),
/// spec::acpi::kFastA20Port with fast_a20_port(). CF9h lies inside of the PCI configuration address port CF8h..CFBh:
/// whoever owns that passes byte accesses at CF9h on to the handler here.
class ResetControl final : public Device {
public:
    /// @param on_reset the guest asked for a reset. Called on a vCPU's thread; must not wait.
    explicit ResetControl(std::function<void()> on_reset);

    [[nodiscard]] IoHandler& reset_control_port() { return reset_control_port_; }
    [[nodiscard]] IoHandler& fast_a20_port() { return fast_a20_port_; }

    [[nodiscard]] std::string_view name() const override { return "reset-control"; }
    void reset() override { value_.store(0, std::memory_order_relaxed); }
    [[nodiscard]] migration::Record save() const override;
    [[nodiscard]] std::expected<void, migration::RestoreError> restore(const migration::Record& record) override;

private:
    class ResetControlPort final : public ByteRegisters {
    public:
        explicit ResetControlPort(ResetControl& device) : device_(device) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        ResetControl& device_;
    };
    class FastA20Port final : public ByteRegisters {
    public:
        explicit FastA20Port(ResetControl& device) : device_(device) {}

    private:
        [[nodiscard]] std::uint8_t read_byte(std::uint64_t offset) override;
        void write_byte(std::uint64_t offset, std::uint8_t value) override;
        ResetControl& device_;
    };

    const std::function<void()> on_reset_;
    std::atomic<std::uint8_t> value_{0}; // of RST_CNT; orders nothing
    ResetControlPort reset_control_port_{*this};
    FastA20Port fast_a20_port_{*this};
};

} // namespace touka::platform
