// How interrupts reach the processors: through our own chips, or through the kernel's.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <vector>

#include "cpu/interrupt_port.hpp"
#include "cpu/kvm/kvm_engine.hpp"
#include "cpu/vcpu.hpp"
#include "platform/address_space.hpp"
#include "platform/device.hpp"
#include "platform/interrupt/gsi_lines.hpp"
#include "platform/interrupt/interrupt_chips.hpp"
#include "platform/interrupt_line.hpp"
#include "runtime/timers.hpp"

namespace touka::machine {

/// Interrupt controllers and the 8254, under the same names whoever runs them, so that a saved machine moves between
/// engines. Built before the processors; used from the control thread, but for lines() and msi(): any thread.
class InterruptSystem {
public:
    virtual ~InterruptSystem() = default;
    /// Where devices plug their wires in.
    [[nodiscard]] virtual platform::GsiLines& lines() = 0;
    [[nodiscard]] virtual platform::MsiSink& msi() = 0;
    /// Touka's own chips; null when they are the kernel's.
    [[nodiscard]] virtual platform::InterruptChips* chips() { return nullptr; }
    /// What the processor `index` is made with; null when its APIC is in the kernel.
    [[nodiscard]] virtual cpu::InterruptPort* port(std::uint32_t index) = 0;
    /// Processors are there, in order; they outlive this object's use.
    virtual void connect(const std::vector<cpu::Vcpu*>& vcpus) = 0;
    /// The HPET takes the 8254's interrupt over, or gives it back. Any thread.
    virtual void set_timer_disconnected(bool disconnected) = 0;
    /// In the order of restoring.
    [[nodiscard]] virtual std::vector<platform::Device*> devices() = 0;
};

/// @param timers outlives the result.  @param memory, ports get the chips' registers.
[[nodiscard]] std::unique_ptr<InterruptSystem>
make_software_interrupts(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz, runtime::Timers& timers,
                         platform::AddressSpace& memory, platform::AddressSpace& ports);
/// @param engine outlives the result.
[[nodiscard]] std::unique_ptr<InterruptSystem> make_kernel_interrupts(cpu::kvm::KvmEngine& engine);

} // namespace touka::machine
