// A guest that does anything to the interrupt chips and timers: they must neither crash nor hang, and what they save
// they must take back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "platform/interrupt/gsi_lines.hpp"
#include "platform/interrupt/interrupt_chips.hpp"
#include "platform/interrupt/recording_processor.hpp"
#include "platform/power/acpi_fixed_hardware.hpp"
#include "platform/timer/hpet.hpp"
#include "platform/timer/pit8254.hpp"
#include "runtime/manual_timers.hpp"
#include "spec/hpet/hpet.hpp"
#include "spec/pit/i8254.hpp"

namespace touka::platform {
namespace {

/// Numbers out of the fuzzer's bytes; zeros after their end.
class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
    [[nodiscard]] bool empty() const { return rest_.empty(); }
    std::uint64_t take(std::size_t width) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < width && !rest_.empty(); ++i) {
            value |= std::uint64_t{rest_.front()} << (8 * i);
            rest_ = rest_.subspan(1);
        }
        return value;
    }

private:
    std::span<const std::uint8_t> rest_;
};

class Board {
public:
    Board() {
        for (std::uint32_t i = 0; i < 2; ++i)
            chips_.local_apic(i).connect(processors_[i], [this] { return timers_.now_ns(); });
        const bool mapped = chips_.map(memory_, ports_) && memory_.add(spec::hpet::kBase, spec::hpet::kLength, hpet_) &&
                            ports_.add(spec::pit::kPort, spec::pit::kPortCount, pit_.counter_ports()) &&
                            ports_.add(spec::pit::kSpeakerPort, 1, pit_.speaker_port()) &&
                            ports_.add(spec::acpi::kPmBase, spec::acpi::kPmLength, pm_);
        if (!mapped) std::abort();
    }

    void step(Input& input) {
        static constexpr std::uint16_t kPorts[] = {0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x61};
        const auto operation = static_cast<unsigned>(input.take(1));
        LocalApic& apic = chips_.local_apic(operation >> 7);
        const unsigned width = 1u << (operation >> 5 & 3);
        switch (operation & 0xF) {
            case 0: ports_.write(kPorts[input.take(1) % std::size(kPorts)], 1, input.take(1)); break;
            case 1: static_cast<void>(ports_.read(kPorts[input.take(1) % std::size(kPorts)], 1)); break;
            case 2: ports_.write(spec::acpi::kPmBase + input.take(1) % 0x80, width, input.take(4)); break;
            case 3: static_cast<void>(ports_.read(spec::acpi::kPmBase + input.take(1) % 0x80, width)); break;
            case 4: memory_.write(spec::hpet::kBase + input.take(2) % 0x400, width, input.take(8)); break;
            case 5: static_cast<void>(memory_.read(spec::hpet::kBase + input.take(2) % 0x400, width)); break;
            case 6:
                memory_.write(spec::apic::kIoApicBase, 4, input.take(1));
                memory_.write(spec::apic::kIoApicBase + 0x10, 4, input.take(4));
                break;
            case 7:
                apic.write_page(static_cast<std::uint32_t>(input.take(1) << 4),
                                static_cast<std::uint32_t>(input.take(4)));
                break;
            case 8: static_cast<void>(apic.read_page(static_cast<std::uint32_t>(input.take(1) << 4))); break;
            case 9:
                static_cast<void>(apic.write_msr(static_cast<std::uint32_t>(0x800 + input.take(1)), input.take(8)));
                break;
            case 10: static_cast<void>(apic.write_msr(operation & 0x10 ? 0x1B : 0x6E0, input.take(8))); break;
            case 11: static_cast<void>(apic.acknowledge()); break;
            case 12: chips_.set_gsi(static_cast<std::uint32_t>(input.take(1) % kGsiCount), operation & 0x10); break;
            case 13: chips_.msi().send({0xFEE0'0000 | input.take(3), static_cast<std::uint32_t>(input.take(4))}); break;
            case 14: timers_.advance(input.take(4)); break;
            default: save_and_restore(input); break;
        }
    }

private:
    void save_and_restore(Input& input) {
        std::vector<Device*> devices = chips_.devices();
        devices.insert(devices.end(), {&pit_, &hpet_, &pm_});
        Device& device = *devices[input.take(1) % devices.size()];
        migration::Record record = device.save();
        if (const auto position = input.take(1); position < record.bytes.size()) {
            record.bytes[position] = static_cast<std::byte>(input.take(1));
            static_cast<void>(device.restore(record)); // damaged: refused or cut to size
        } else if (!device.restore(record)) {
            std::abort();
        }
    }

    runtime::ManualTimers timers_;
    RecordingProcessor processors_[2];
    InterruptChips chips_{2, 1'000'000'000, timers_};
    GsiLines lines_{[this](std::uint32_t gsi, bool asserted) { chips_.set_gsi(gsi, asserted); }};
    Pit8254 pit_{lines_.add_source(0), timers_};
    Hpet hpet_{
        HpetLines{&lines_.add_source(0),
                  &lines_.add_source(8),
                  {&lines_.add_source(20), &lines_.add_source(21), &lines_.add_source(22), &lines_.add_source(23)}},
        timers_, [this](bool on) { pit_.set_interrupt_disconnected(on); }};
    AcpiFixedHardware pm_{lines_.add_source(9), timers_, PmTimer::Width::k24, [] {}};
    AddressSpace memory_, ports_;
};

} // namespace
} // namespace touka::platform

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 512) return 0; // an input may advance the clock by 4 s with each 5 bytes
    touka::platform::Input input({data, size});
    touka::platform::Board board;
    while (!input.empty()) board.step(input);
    return 0;
}
