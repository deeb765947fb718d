// The interrupt controllers of a machine whose engine has none: local APICs, I/O APIC and 8259 pair, wired together.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "platform/address_space.hpp"
#include "platform/interrupt/io_apic.hpp"
#include "platform/interrupt/local_apic.hpp"
#include "platform/interrupt/local_apic_bus.hpp"
#include "platform/interrupt/pic_pair.hpp"
#include "runtime/timers.hpp"

namespace touka::platform {

/// Owned by the machine; stays where it was built.
class InterruptChips {
public:
    /// @param timers outlives this. vCPU 0 is the bootstrap processor.
    InterruptChips(std::uint32_t vcpu_count, std::uint64_t tsc_frequency_hz, runtime::Timers& timers);
    InterruptChips(const InterruptChips&) = delete;
    InterruptChips& operator=(const InterruptChips&) = delete;

    /// Puts the I/O APIC's window and the 8259s' ports in their places. The local APIC's page is not in the address
    /// space: each processor answers it from its own InterruptPort.
    [[nodiscard]] std::expected<void, AddressSpaceError> map(AddressSpace& memory, AddressSpace& ports);
    /// The output for GsiLines. Any thread. (MADT: ISA interrupt 0 overridden to GSI 2)
    void set_gsi(std::uint32_t gsi, bool asserted);

    [[nodiscard]] LocalApic& local_apic(std::uint32_t vcpu_index) { return *local_apics_[vcpu_index]; }
    [[nodiscard]] MsiSink& msi() { return bus_; }
    [[nodiscard]] LocalApicBus& bus() { return bus_; }
    [[nodiscard]] IoApic& io_apic() { return io_apic_; }
    [[nodiscard]] PicPair& pic() { return pic_; }
    /// All of them, in the order in which they are to be restored (after the processors).
    [[nodiscard]] std::vector<Device*> devices();

private:
    LocalApicBus bus_;
    IoApic io_apic_{bus_};
    PicPair pic_{bus_.lint0()};
    std::vector<std::unique_ptr<LocalApic>> local_apics_;
};

} // namespace touka::platform
