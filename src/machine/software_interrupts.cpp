#include <cassert>
#include <utility>

#include "machine/interrupt_system.hpp"
#include "platform/interrupt/interrupt_chips.hpp"
#include "platform/timer/pit8254.hpp"
#include "spec/pit/i8254.hpp"

namespace touka::machine {

namespace {

constexpr std::uint32_t kTimerGsi = 0;

class SoftwareInterrupts final : public InterruptSystem {
public:
    SoftwareInterrupts(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz, runtime::Timers& timers,
                       platform::AddressSpace& memory, platform::AddressSpace& ports)
        : chips_(vcpu_count, tsc_frequency_hz, timers),
          lines_([this](std::uint32_t gsi, bool asserted) { chips_.set_gsi(gsi, asserted); }),
          pit_(lines_.add_source(kTimerGsi), timers) {
        // The machine's own map: an overlap is a mistake in this program.
        [[maybe_unused]] const bool mapped = chips_.map(memory, ports) &&
                                             ports.add(spec::pit::kPort, spec::pit::kPortCount, pit_.counter_ports()) &&
                                             ports.add(spec::pit::kSpeakerPort, 1, pit_.speaker_port());
        assert(mapped);
    }

    [[nodiscard]] platform::GsiLines& lines() override { return lines_; }
    [[nodiscard]] platform::MsiSink& msi() override { return chips_.msi(); }
    [[nodiscard]] platform::InterruptChips* chips() override { return &chips_; }
    [[nodiscard]] cpu::InterruptPort* port(std::uint32_t index) override { return &chips_.local_apic(index); }

    void connect(const std::vector<cpu::Vcpu*>& vcpus) override {
        for (std::uint32_t i = 0; i < vcpus.size(); ++i) {
            cpu::InterruptTarget* target = vcpus[i]->interrupt_target();
            assert(target != nullptr); // every software engine's vCPU has one
            chips_.local_apic(i).connect(*target, [vcpu = vcpus[i]] { return vcpu->guest_tsc(); });
        }
    }
    void set_timer_disconnected(bool disconnected) override { pit_.set_interrupt_disconnected(disconnected); }

    [[nodiscard]] std::vector<platform::Device*> devices() override {
        auto all = chips_.devices();
        all.push_back(&pit_);
        return all;
    }

private:
    platform::InterruptChips chips_;
    platform::GsiLines lines_;
    platform::Pit8254 pit_;
};

} // namespace

std::unique_ptr<InterruptSystem> make_software_interrupts(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz,
                                                          runtime::Timers& timers, platform::AddressSpace& memory,
                                                          platform::AddressSpace& ports) {
    return std::make_unique<SoftwareInterrupts>(vcpu_count, tsc_frequency_hz, timers, memory, ports);
}

} // namespace touka::machine
