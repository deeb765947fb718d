#include "platform/interrupt/interrupt_chips.hpp"

#include "spec/apic/io_apic.hpp"
#include "spec/pic/i8259.hpp"

namespace touka::platform {

namespace {
constexpr std::uint32_t kIsaIrqCount = 16;
constexpr unsigned kTimerPin = 2; // of the I/O APIC; pin 0 is where a PC may have the 8259's output
} // namespace

InterruptChips::InterruptChips(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz, runtime::Timers& timers) {
    bus_.connect(pic_);
    for (std::uint32_t i = 0; i < vcpu_count; ++i)
        local_apics_.push_back(std::make_unique<LocalApic>(
            LocalApicConfig{.apic_id = i, .bootstrap = i == 0, .tsc_frequency_hz = tsc_frequency_hz}, bus_, timers));
}

std::expected<void, AddressSpaceError> InterruptChips::map(AddressSpace& memory, AddressSpace& ports) {
    using namespace spec;
    auto mapped = memory.add(apic::kIoApicBase, apic::kIoApicLength, io_apic_);
    if (mapped) mapped = ports.add(pic::kMasterPort, pic::kPortCount, pic_.master_ports());
    if (mapped) mapped = ports.add(pic::kSlavePort, pic::kPortCount, pic_.slave_ports());
    if (mapped) mapped = ports.add(pic::kElcrPort, pic::kPortCount, pic_.elcr_ports());
    return mapped;
}

void InterruptChips::set_gsi(std::uint32_t gsi, bool asserted) {
    if (gsi < kIsaIrqCount) pic_.set_irq(gsi, asserted);
    if (gsi != kTimerPin) io_apic_.set_pin(gsi == 0 ? kTimerPin : gsi, asserted);
}

std::vector<Device*> InterruptChips::devices() {
    std::vector<Device*> all;
    all.reserve(local_apics_.size() + 2);
    for (const auto& apic : local_apics_) all.push_back(apic.get());
    all.push_back(&io_apic_);
    all.push_back(&pic_);
    return all;
}

} // namespace touka::platform
