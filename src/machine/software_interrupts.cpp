#include <cstdlib>
#include <utility>

#include "machine/interrupt_system.hpp"
#include "platform/interrupt/interrupt_chips.hpp"
#include "platform/timer/pit8254.hpp"

namespace touka::machine {

namespace {

class SoftwareInterrupts final : public InterruptSystem {
public:
    SoftwareInterrupts(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz, runtime::Timers& timers)
        : chips_(vcpu_count, tsc_frequency_hz, timers),
          lines_([this](std::uint32_t gsi, bool asserted) { chips_.set_gsi(gsi, asserted); }) {}

    [[nodiscard]] platform::GsiLines& lines() override { return lines_; }
    [[nodiscard]] platform::MsiSink& msi() override { return chips_.msi(); }
    [[nodiscard]] cpu::InterruptPort* port(std::uint32_t index) override { return &chips_.local_apic(index); }
    [[nodiscard]] platform::InterruptChips& chips() { return chips_; }

private:
    platform::InterruptChips chips_;
    platform::GsiLines lines_;
};

} // namespace

} // namespace touka::machine
