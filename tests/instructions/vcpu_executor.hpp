// Any engine's vCPU: the same bytes at the same linear addresses in a small guest, at CPL 3.
#pragma once

#include <memory>
#include <optional>

#include "cpu/bus.hpp"
#include "cpu/interrupt_port.hpp"
#include "cpu/vcpu.hpp"
#include "instructions/executor.hpp"
#include "memory/guest_memory.hpp"

namespace touka::tests::instructions {

/// A local APIC that is off.
class NoInterrupts final : public cpu::InterruptPort {
public:
    [[nodiscard]] bool has_interrupt() const override { return false; }
    [[nodiscard]] std::optional<std::uint8_t> acknowledge() override { return std::nullopt; }
    [[nodiscard]] std::uint8_t task_priority_class() const override { return 0; }
    void set_task_priority_class(std::uint8_t) override {}
    [[nodiscard]] std::optional<std::uint64_t> read_msr(std::uint32_t) override { return 0; }
    [[nodiscard]] bool write_msr(std::uint32_t, std::uint64_t) override { return true; }
    [[nodiscard]] std::optional<spec::GuestAddress> page() const override { return std::nullopt; }
    [[nodiscard]] std::uint32_t read_page(std::uint32_t) override { return 0; }
    void write_page(std::uint32_t, std::uint32_t) override {}
    void reset_by_init() override {}
};

/// @pre the engine was made for `memory`, which has kGuestRamBytes.
class VcpuExecutor final : public Executor, private cpu::CpuBus {
public:
    VcpuExecutor(cpu::CpuEngine& engine, memory::GuestMemory& memory);

    [[nodiscard]] std::string_view name() const override { return engine_.name(); }
    void run(const Case& test, Result& result) override;
    /// For tests that need another processor state than initial_state() makes. `test` gives the memory.
    void run_from(const cpu::CpuState& state, const Case& test, Result& result);
    [[nodiscard]] memory::GuestMemory& memory() { return memory_; }
    [[nodiscard]] cpu::Vcpu& vcpu() { return *vcpu_; }

private:
    std::uint64_t read_memory(spec::GuestAddress, unsigned) override { return ~std::uint64_t{0}; }
    void write_memory(spec::GuestAddress, unsigned, std::uint64_t) override {}
    std::uint32_t read_port(std::uint16_t, unsigned) override { return ~std::uint32_t{0}; }
    /// The stub of an exception reports its vector.
    void write_port(std::uint16_t port, unsigned width_bytes, std::uint32_t value) override;
    /// Pages that hold these bytes already are left alone, and so is what was translated from them.
    void put_memory(const Memory& memory);
    void take_result(Result& result);

    cpu::CpuEngine& engine_;
    memory::GuestMemory& memory_;
    NoInterrupts interrupts_;
    std::unique_ptr<cpu::Vcpu> vcpu_;
    std::optional<unsigned> vector_;
};

} // namespace touka::tests::instructions
