// The machine's vCPUs and their threads.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "cpu/vcpu.hpp"
#include "machine/interrupt_system.hpp"
#include "machine/machine_error.hpp"
#include "machine/machine_events.hpp"
#include "machine/vcpu_thread.hpp"

namespace touka::machine {

/// Owns the processors, paused until resume(). @thread the control thread.
class Processors {
public:
    /// @param engine, bus, interrupts, events outlive the result.
    [[nodiscard]] static std::expected<std::unique_ptr<Processors>, MachineError>
    create(cpu::CpuEngine& engine, std::uint32_t count, cpu::CpuBus& bus, InterruptSystem& interrupts,
           MachineEvents& events);

    void pause();
    void resume();
    /// Returns when accesses to devices that processors had begun are over. Any thread, also while they run.
    void step_out();
    /// The boot processor in `entry`, the others as after power-on, waiting for their start-up IPI. @pre paused.
    [[nodiscard]] std::expected<void, MachineError> reset(const cpu::CpuState& entry);
    /// @pre paused.
    [[nodiscard]] std::expected<std::vector<cpu::CpuState>, MachineError> states();
    [[nodiscard]] std::expected<void, MachineError> set_states(const std::vector<cpu::CpuState>& states);

    /// What the processors say of why they stopped, for the user.
    [[nodiscard]] std::string failure() const;
    /// What each met that it could not do, for --stats. @pre paused.
    [[nodiscard]] std::string report() const;

private:
    explicit Processors(cpu::CpuEngine& engine) : engine_(engine) {}
    [[nodiscard]] std::string told_by_each(std::string (cpu::Vcpu::*tell)() const) const;
    [[nodiscard]] std::unexpected<MachineError> failed(std::string_view what, std::size_t index) const;

    cpu::CpuEngine& engine_;
    std::vector<std::unique_ptr<VcpuThread>> threads_;
    std::vector<cpu::CpuState> power_on_;
};

} // namespace touka::machine
