#include "machine/chipset.hpp"

#include <cassert>
#include <ctime>

#include "spec/acpi/fixed_hardware.hpp"
#include "spec/hpet/hpet.hpp"
#include "spec/i8042/i8042.hpp"
#include "spec/rtc/mc146818.hpp"
#include "spec/uart/uart16550.hpp"

namespace touka::machine {

namespace {

constexpr std::uint32_t kTimerIrq = 0, kKeyboardIrq = 1, kCom1Irq = 4, kRtcIrq = 8, kMouseIrq = 12;

std::int64_t utc_now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

platform::HpetLines hpet_lines(platform::GsiLines& lines) {
    platform::HpetLines wires{.irq0 = &lines.add_source(kTimerIrq), .irq8 = &lines.add_source(kRtcIrq)};
    for (std::size_t i = 0; i < wires.gsi.size(); ++i) {
        wires.gsi[i] = &lines.add_source(platform::kHpetFirstGsi + static_cast<std::uint32_t>(i));
    }
    return wires;
}

} // namespace

Chipset::Chipset(SystemBus& bus, InterruptSystem& interrupts, runtime::Timers& timers, runtime::ByteStream& console,
                 MachineEvents& events)
    : rtc_(interrupts.lines().add_source(kRtcIrq), timers, utc_now_ns),
      hpet_(hpet_lines(interrupts.lines()), timers,
            [this, &interrupts](bool replaced) {
                interrupts.set_timer_disconnected(replaced);
                rtc_.set_interrupt_disconnected(replaced);
            }),
      acpi_(interrupts.lines().add_source(spec::acpi::kSciIrq), timers, platform::PmTimer::Width::k32,
            [&events] { events.put(MachineEvent::kPoweredOff); }),
      reset_control_([&events] { events.put(MachineEvent::kResetByGuest); }),
      keyboard_controller_(interrupts.lines().add_source(kKeyboardIrq), interrupts.lines().add_source(kMouseIrq),
                           [&events] { events.put(MachineEvent::kResetByGuest); }),
      serial_("serial0", interrupts.lines().add_source(kCom1Irq), console, timers) {
    // The machine's own map: an overlap is a mistake in this program.
    [[maybe_unused]] const bool mapped =
        bus.memory().add(spec::hpet::kBase, spec::hpet::kLength, hpet_) &&
        bus.ports().add(spec::rtc::kPort, spec::rtc::kPortCount, rtc_) &&
        bus.ports().add(spec::acpi::kPmBase, spec::acpi::kPmLength, acpi_) &&
        bus.ports().add(spec::acpi::kFastA20Port, 1, reset_control_.fast_a20_port()) &&
        bus.ports().add(spec::i8042::kDataPort, 1, keyboard_controller_.data_port()) &&
        bus.ports().add(spec::i8042::kCommandPort, 1, keyboard_controller_.command_port()) &&
        bus.ports().add(spec::uart::kCom1Port, spec::uart::kPortCount, serial_);
    assert(mapped);
}

std::vector<platform::Device*> Chipset::devices() {
    return {&rtc_, &hpet_, &acpi_, &reset_control_, &keyboard_controller_, &serial_};
}

} // namespace touka::machine
