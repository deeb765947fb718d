// The devices that every machine has, whatever its configuration: clocks, power, serial port, keyboard controller.
#pragma once

#include <memory>
#include <vector>

#include "devices/keyboard/i8042.hpp"
#include "devices/rtc/rtc.hpp"
#include "devices/serial/uart16550.hpp"
#include "machine/interrupt_system.hpp"
#include "machine/machine_events.hpp"
#include "machine/system_bus.hpp"
#include "platform/power/acpi_fixed_hardware.hpp"
#include "platform/power/reset_control.hpp"
#include "platform/timer/hpet.hpp"
#include "runtime/byte_stream.hpp"
#include "runtime/timers.hpp"

namespace touka::machine {

/// Built at the places of spec/ and platform/platform_layout.hpp. @thread control; the devices any thread.
class Chipset {
public:
    /// Everything outlives this.
    Chipset(SystemBus& bus, InterruptSystem& interrupts, runtime::Timers& timers, runtime::ByteStream& console,
            MachineEvents& events);

    [[nodiscard]] platform::AcpiFixedHardware& acpi() { return acpi_; }
    /// Port CF9h, which lies inside of the PCI root's.
    [[nodiscard]] platform::IoHandler& reset_control_port() { return reset_control_.reset_control_port(); }
    [[nodiscard]] std::vector<platform::Device*> devices();

private:
    devices::Rtc rtc_;
    platform::Hpet hpet_;
    platform::AcpiFixedHardware acpi_;
    platform::ResetControl reset_control_;
    devices::I8042 keyboard_controller_;
    devices::Uart16550 serial_;
};

} // namespace touka::machine
